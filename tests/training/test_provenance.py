import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from unittest.mock import ANY

import pytest
import yaml

from training.provenance import digest_code, read_environment, read_provenance

_ROOT: Final = Path(__file__).resolve().parents[2]
_CPU: Final = Path("/proc/cpuinfo")
_HAS_AVX2: Final = _CPU.exists() and "avx2" in _CPU.read_text()
# Prefect runs a deployment's file by its path.
_ENTRIES: Final = [
    f"import runpy; runpy.run_path('{path}')"
    for path in sorted(
        {one["entrypoint"].split(":")[0] for one in yaml.safe_load((_ROOT / "prefect.yaml").read_text())["deployments"]}
    )
]


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_dirtiness_and_lock_file_are_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "uv.lock").write_text("locked")
    git(tmp_path, "add", "uv.lock")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = {
        "git_commit": git(tmp_path, "rev-parse", "HEAD"),
        "git_dirty": "false",
        "lock_sha256": hashlib.sha256(b"locked").hexdigest(),
    }
    assert read_provenance(tmp_path) == clean

    (tmp_path / "new.py").write_text("")
    assert read_provenance(tmp_path) == clean | {"git_dirty": "true"}


def test_an_installed_package_has_no_commit_even_inside_a_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    installed = tmp_path / "site-packages"
    installed.mkdir()
    assert read_provenance(installed) == dict.fromkeys(("git_commit", "git_dirty", "lock_sha256"), "unknown")


def test_the_environment_is_what_a_lock_file_does_not_fix() -> None:
    assert read_environment() == {
        "python": ".".join(map(str, sys.version_info[:3])),
        "machine": f"{os.uname().sysname} {os.uname().machine}",
        "blas": ANY,
    }


@pytest.mark.skipif(not _HAS_AVX2, reason="there are no kernels that every processor of this kind has")
@pytest.mark.parametrize("entry", ["import training.fit", "import flows.cli", *_ENTRIES])
def test_sums_are_added_up_alike_on_every_processor(entry: str) -> None:
    """However a run begins: numpy's library looks for its kernels when it is loaded, and never again."""
    said = f"{entry}; from training.provenance import read_environment; print(read_environment()['blas'])"
    clean = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    run = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True, env=clean, cwd=_ROOT)
    assert run.stdout.strip() == "openblas Haswell"


def test_a_processor_may_be_asked_for_its_own_kernels() -> None:
    said = "import training.fit; import os; print(os.environ['OPENBLAS_CORETYPE'])"
    own = os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}
    run = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True, env=own, cwd=_ROOT)
    assert run.stdout.strip() == "Nehalem"


def test_code_is_digested_by_name_and_content_of_every_source(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return digest_code(tmp_path)

    seen = [write("fit.py", "a = 1"), write("specs/spam.py", "b = 2"), write("rows.sql", "select 1")]
    seen.append(write("fit.py", "a = 2"))
    assert len(set(seen)) == 4
    assert write("__pycache__/fit.cpython-311.pyc", "") == seen[-1], "what is not written by hand does not count"
    (tmp_path / "rows.sql").rename(tmp_path / "others.sql")
    assert digest_code(tmp_path) != seen[-1]
    assert write("fit.py", "a = 2") == digest_code(tmp_path)
