"""Rules of the browser extension that hold without a browser: no way from a text to markup or code, few permissions."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scoring" / "extension"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
# Within a page scripts are no modules.
PAGE_SCRIPTS = [path for path in SCRIPTS if path.parent.name == "page"]

SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\bFunction\(|DOMParser|srcdoc|"
    r"setHTML|parseHTML|createContextualFragment|javascript:|\bimport\(|importScripts|"
    r"set(Timeout|Interval)\(\s*[\"'`]|setAttribute\(\s*[\"'`](on|style|href|src)"
)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "manifest.json").read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_text_becomes_markup_or_code(path: Path) -> None:
    assert SINKS.findall(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)) == []


def test_the_extension_has_these_permissions_and_no_more(manifest: dict[str, Any]) -> None:
    assert manifest["permissions"] == ["activeTab", "contextMenus", "scripting", "storage"]
    # Neither hosts, nor scripts in pages that were not clicked, nor anything that pages or other extensions reach.
    assert sorted(manifest) == [
        "action",
        "background",
        "content_security_policy",
        "description",
        "key",
        "manifest_version",
        "minimum_chrome_version",
        "name",
        "options_ui",
        "permissions",
        "version",
    ]
    assert manifest["content_security_policy"]["extension_pages"].startswith("default-src 'none'; script-src 'self';")


def test_the_extension_has_the_version_of_the_package(manifest: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert manifest["version"] == project["version"]


def test_the_browser_takes_the_manifest(manifest: dict[str, Any]) -> None:
    assert manifest["manifest_version"] == 3
    assert len(manifest["description"]) <= 132
    assert (FOLDER / manifest["background"]["service_worker"]).is_file()
    assert (FOLDER / manifest["options_ui"]["page"]).is_file()


def test_every_script_of_the_page_is_run() -> None:
    [listed] = re.findall(r"PAGE_FILES = (\[.*?\])", (FOLDER / "background.js").read_text(), re.DOTALL)
    assert sorted(json.loads(listed)) == [path.stem for path in PAGE_SCRIPTS]


def test_nothing_is_loaded_from_elsewhere() -> None:
    named = {name for path in FILES for name in re.findall(r"\bhttps?://[\w.:]+\w", path.read_text())}
    assert named == {"http://127.0.0.1:8321", "http://www.w3.org"}  # the service; the name of SVG


def test_every_script_can_be_parsed(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    for path in SCRIPTS:
        copy = tmp_path / f"{path.stem}.{'cjs' if path in PAGE_SCRIPTS else 'mjs'}"
        copy.write_text(path.read_text())
        checked = subprocess.run([node, "--check", copy], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
