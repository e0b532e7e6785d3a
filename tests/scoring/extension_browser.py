"""A Chromium with the extension, and a person in front of it: sees what a screen reader sees, presses what it names."""

import hashlib
import json
import os
import re
import shutil
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, CDPSession, Page, Worker, sync_playwright

FOLDER = Path(__file__).parents[2] / "scoring" / "extension"
BROWSER = os.environ.get("SCORELAKE_TEST_BROWSER", "")
PICTURES = os.environ.get("SCORELAKE_TEST_PICTURES", "")
PATIENCE_SECONDS = 20.0


def read_id(folder: Path = FOLDER) -> str:
    """The extension's id, as Chromium derives it: sixteen bytes of its public key's hash, in the letters a to p."""
    key = json.loads((folder / "manifest.json").read_text())["key"]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(b64decode(key)).hexdigest()[:32])


ORIGIN = f"chrome-extension://{read_id()}"


def copy_extension(folder: Path) -> Path:
    """The same extension under another id: the last byte of its key is another one."""
    copy = Path(shutil.copytree(FOLDER, folder))
    manifest = json.loads((copy / "manifest.json").read_text())
    key = bytearray(b64decode(manifest["key"]))
    key[-1] ^= 2
    (copy / "manifest.json").write_text(json.dumps({**manifest, "key": b64encode(key).decode()}))
    return copy


@dataclass(frozen=True, slots=True)
class Node:
    """Something in the accessibility tree."""

    role: str
    name: str
    description: str
    backend_id: int


@dataclass
class Tab:
    """A tab, with eyes that see into closed shadow roots and a hand that reaches there: as a person has them."""

    page: Page
    devtools: CDPSession
    toolbar: CDPSession
    extension: str

    def look(self, role: str, name: str = "") -> list[Node]:
        """Everything of a role whose whole name fits an expression; all of the role if it is empty."""
        tree = self.devtools.send("Accessibility.getFullAXTree")["nodes"]
        nodes = [
            Node(_get(node, "role"), _get(node, "name"), _get(node, "description"), node.get("backendDOMNodeId", 0))
            for node in tree
            if not node["ignored"]
        ]
        return [node for node in nodes if node.role == role and re.fullmatch(name or ".*", node.name, re.DOTALL)]

    def wait_for(self, role: str, name: str = "") -> Node:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.look(role, name)):
            assert time.monotonic() < until, f"no {role} {name!r}; {self.read_all()}"
            self.page.wait_for_timeout(50)
        return found[0]

    def read_all(self) -> str:
        return " | ".join(node.name for node in self.look("StaticText"))

    def press(self, name: str) -> None:
        self.press_node(self.wait_for("button", name))

    def press_node(self, node: Node) -> None:
        told = {"backendNodeId": node.backend_id}
        self.devtools.send("DOM.scrollIntoViewIfNeeded", told)
        quad = self.devtools.send("DOM.getContentQuads", told)["quads"][0]
        self.page.mouse.click((quad[0] + quad[4]) / 2, (quad[1] + quad[5]) / 2)

    def click_icon(self) -> None:
        """Click the extension's icon in the toolbar."""
        tabs = self.toolbar.send("Target.getTargets", {"filter": [{"type": "tab"}]})["targetInfos"]
        [mine] = [one["targetId"] for one in tabs if one["url"] == self.page.url]
        self.toolbar.send("Extensions.triggerAction", {"id": self.extension, "targetId": mine})

    def list_elements(self) -> set[str]:
        """Names of all elements within the extension's shadow roots."""
        nodes = self.devtools.send("DOM.getFlattenedDocument", {"depth": -1, "pierce": True})["nodes"]
        parents = {node["nodeId"]: node.get("parentId") for node in nodes}
        roots = {
            root["nodeId"]
            for node in nodes
            for root in node.get("shadowRoots", ())
            if root["shadowRootType"] == "closed"
        }
        return {node["nodeName"].lower() for node in nodes if _is_within(node["nodeId"], parents, roots)} - {
            "#document-fragment",
            "#text",
        }

    def keep(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"{name}.jpg", type="jpeg", quality=60)


# A badge with a label of the model, and how sure it is.
BADGE = r"\S? ?(positive|neutral|negative|unsure) \d+ %"


def score_page(tab: Tab) -> None:
    """Click, and wait for the end."""
    tab.click_icon()
    tab.wait_for("button", BADGE)
    tab.wait_for("StaticText", "All comments that are shown have their badge.")


def run_as_content_script(tab: Tab, expression: str) -> Any:
    """What an expression is in the world of the extension's scripts within the page."""
    contexts: list[dict[str, Any]] = []
    tab.devtools.on("Runtime.executionContextCreated", lambda event: contexts.append(event["context"]))
    tab.devtools.send("Runtime.enable")
    [mine] = [one["id"] for one in contexts if one["origin"] == ORIGIN]
    told = {"expression": expression, "contextId": mine, "awaitPromise": True, "returnByValue": True}
    return tab.devtools.send("Runtime.evaluate", told)["result"]["value"]


def _get(node: dict[str, Any], what: str) -> str:
    return str(node.get(what, {}).get("value", ""))


def _is_within(node: int | None, parents: dict[int, int | None], roots: set[int]) -> bool:
    while node is not None and node not in roots:
        node = parents.get(node)
    return node is not None


@dataclass
class Browser:
    context: BrowserContext
    toolbar: CDPSession
    extension: str
    copy: str

    @property
    def worker(self) -> Worker:
        mine = [one for one in self.context.service_workers if self.extension in one.url]
        return mine[0] if mine else self.context.wait_for_event("serviceworker")

    @contextmanager
    def open(self, address: str) -> Iterator[Tab]:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        page.goto(address)
        devtools = self.context.new_cdp_session(page)
        devtools.send("Accessibility.enable")
        devtools.send("DOM.enable")
        try:
            yield Tab(page, devtools, self.toolbar, self.extension)
        finally:
            page.close()

    def set_options(self, address: str, key: str, model: str = "sentiment", extension: str = "") -> None:
        with self.open_options(extension) as tab:
            fill_options(tab.page, address, key, model)
            tab.page.get_by_role("button", name="Save").click()
            tab.page.get_by_text("Saved.").wait_for()

    def open_options(self, extension: str = "") -> Any:
        return self.open(f"chrome-extension://{extension or self.extension}/options.html")


def fill_options(page: Page, address: str, key: str, model: str = "sentiment") -> None:
    page.get_by_label("Address").fill(address)
    page.get_by_label("Key").fill(key)
    page.get_by_label("Model").select_option(model)


@contextmanager
def open_browser(profile: Path, copy: Path) -> Iterator[Browser]:
    """A headless Chromium with the extension and its copy."""
    folders = f"{FOLDER},{copy}"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=BROWSER,
            viewport={"width": 900, "height": 700},
            ignore_default_args=["--disable-extensions"],
            args=[
                *flags,
                "--headless=new",
                f"--disable-extensions-except={folders}",
                f"--load-extension={folders}",
                # For a click in the toolbar, which is no part of any page.
                "--enable-unsafe-extension-debugging",
            ],
        )
        try:
            assert context.browser is not None
            for folder in (FOLDER, copy):
                wait_for_page(context, f"chrome-extension://{read_id(folder)}/options.html")
            yield Browser(context, context.browser.new_browser_cdp_session(), read_id(), read_id(copy))
        finally:
            context.close()


def wait_for_page(context: BrowserContext, address: str) -> None:
    """Once installed, the extension shows its options by itself."""
    until = time.monotonic() + PATIENCE_SECONDS
    while address not in [page.url for page in context.pages]:
        assert time.monotonic() < until, f"no {address}"
        context.pages[0].wait_for_timeout(50)
