"""An operator in a browser: deployments, a run from its form, its artifact, and a schedule switched off and on.

Switched on by SCORELAKE_TEST_BROWSER, the path of a Chromium; SCORELAKE_TEST_PICTURES names a folder for screenshots.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from feature_repo.lake import Lake, read_lake
from tests.flows.operator_terminal import open_terminal, read_end
from tests.flows.prefect_calls import call, wait_for

BROWSER = os.environ.get("SCORELAKE_TEST_BROWSER", "")
PICTURES = os.environ.get("SCORELAKE_TEST_PICTURES", "")
# As root, and without looking for hosts outside.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
# By whether a schedule is on.
SHOWN = {True: ".p-toggle__control--checked", False: ".p-toggle__control:not(.p-toggle__control--checked)"}

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not BROWSER, reason="SCORELAKE_TEST_BROWSER names no Chromium"),
]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=[*FLAGS, "--disable-component-update", "--disable-sync"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(45_000)
        yield page
        browser.close()


def keep(page: Page, name: str) -> None:
    if PICTURES:
        page.wait_for_timeout(1_000)  # what moves has come to rest
        page.screenshot(path=Path(PICTURES) / f"{name}.jpg", type="jpeg", quality=60)


def test_an_operator_scores_from_the_ui(trained_home: Path, tmp_path: Path, page: Page) -> None:
    home = Path(shutil.copytree(trained_home, tmp_path / "home"))
    with open_terminal(home, tmp_path) as operator:
        operator.start()
        ui = operator.read_receipt()["prefect"]
        visit(page, f"{ui}/deployments", "19 Deployments")
        keep(page, "deployments")
        page.get_by_text("sentiment-hourly", exact=True).first.click()
        page.wait_for_url("**/deployments/deployment/**")
        for is_on in (False, True):
            insist(page, "**/schedules/*", partial(press_switch, page, is_on=is_on))
            wait_for("the switch", lambda is_on=is_on: is_active(ui) == is_on, 30)
        insist(page, "**/create_flow_run", partial(send_form, page, 2))

        run = wait_for("the run", lambda: read_runs(ui))[0]
        assert run["parameters"]["workers"] == 2
        visit(page, f"{ui}/runs/flow-run/{run['id']}", "Running")
        ended = wait_for("its end", lambda: read_end(f"{ui}/api", run["id"]))
        assert ended["state"]["type"] == "COMPLETED"
        assert ended["name"].startswith("score-sentiment 20")
        visit(page, page.url, ended["name"])
        page.get_by_text("Completed").first.wait_for()
        keep(page, "run")
        page.get_by_text("Artifacts", exact=True).first.click()
        page.get_by_text("score-sentiment", exact=True).first.click()
        page.get_by_text("comments scored").first.wait_for()
        keep(page, "artifact")
    with read_lake(Lake(home)) as connection:
        owed = connection.execute("select count(*) from raw.comments").fetchone()
        assert connection.execute("select count(*) from scores.sentiment").fetchone() == owed


def insist(page: Page, route: str, act: Callable[[], None]) -> None:
    """Acts, and once more from a fresh page where Prefect's SQLite was busy, as a person does who is told so.

    Prefect answers 503 at once where two write. Its own clients ask again; its UI says that it failed, and a page that
    could not ask for what it shows stays without it.
    """
    for _ in range(10):
        has_acted = False
        try:
            with page.expect_response(route, timeout=120_000) as answered:
                act()
                has_acted = True
            if answered.value.status != HTTPStatus.SERVICE_UNAVAILABLE:
                assert answered.value.ok, answered.value.text()
                return
        except PlaywrightTimeout:
            if has_acted:
                raise
        page.reload()
    pytest.fail(f"{route}: the server was busy each time")


def visit(page: Page, address: str, text: str) -> None:
    """Opens a page that is to show a text, and anew if it does not."""
    for _ in range(10):
        page.goto(address)
        with suppress(PlaywrightTimeout):
            page.get_by_text(text).filter(visible=True).first.wait_for(timeout=20_000)
            return
    pytest.fail(f"{address} does not show {text!r}")


def press_switch(page: Page, *, is_on: bool) -> None:
    # It is drawn before it knows its schedule: a click then would say what it already is.
    page.locator(SHOWN[not is_on]).first.click()


def send_form(page: Page, workers: int) -> None:
    page.locator(".run-menu__run-button").click()
    page.get_by_text("Custom run").click()
    page.get_by_text("Processes; the setting if not given.").wait_for()
    # Of the two types that the form offers for the number of processes, the number, and a value.
    page.get_by_role("button", name="int", exact=True).or_(page.get_by_text("int", exact=True)).first.click()
    page.get_by_role("spinbutton").first.fill(str(workers))
    keep(page, "form")
    page.get_by_role("button", name="Submit").click()


def is_active(ui: str) -> bool:
    deployment = call(f"{ui}/api/deployments/name/score/sentiment-hourly")
    active: bool = deployment["schedules"][0]["active"]
    return active


def read_runs(ui: str) -> list[dict[str, dict[str, object]]]:
    """Runs that were started by hand."""
    deployment = call(f"{ui}/api/deployments/name/score/sentiment-hourly")["id"]
    wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"tags": {"is_null_": False}}}
    found = call(f"{ui}/api/flow_runs/filter", wanted)
    return [run for run in found if not run["auto_scheduled"]]
