"""The options page in a real Chromium: what a person is told when the service cannot be used, and how to go on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.scoring.extension_browser import BROWSER, FOLDER, ORIGIN, Browser, Tab, fill_options
from tests.scoring.recorded_service import Recorder
from tests.scoring.watch_pages import Shown, WatchPages

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not BROWSER, reason="SCORELAKE_TEST_BROWSER names no Chromium"),
]

# Nothing listens there: it is the discard service's.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def options(opened: Browser) -> Iterator[Tab]:
    with opened.open_options() as tab:
        yield tab


def read_outcome(options: Tab, address: str, key: str) -> str:
    """What "Try it" says."""
    fill_options(options.page, address, key)
    options.page.get_by_role("button", name="Try it").click()
    outcome = options.page.get_by_role("status")
    expect(outcome).not_to_have_text("…")
    return outcome.inner_text()


def test_the_models_are_shown_if_all_is_well(options: Tab, service: Recorder) -> None:
    said = read_outcome(options, service.address, service.key)
    assert said == "The service answers: sentiment, version 1; spam, version 1."
    assert [(one.method, one.status) for one in service.requests] == [("OPTIONS", 200), ("GET", 200)]
    options.keep("extension-options")


def test_options_are_kept(options: Tab, service: Recorder) -> None:
    fill_options(options.page, f" {service.address}/ ", service.key, "spam")
    options.page.get_by_role("button", name="Save").click()
    expect(options.page.get_by_role("status")).to_have_text("Saved.")
    options.page.reload()
    expect(options.page.get_by_label("Address")).to_have_value(service.address)
    expect(options.page.get_by_label("Key")).to_have_value(service.key)
    expect(options.page.get_by_label("Model")).to_have_value("spam")


def test_another_model_shows_its_own_labels(opened: Browser, pages: WatchPages, service: Recorder) -> None:
    opened.set_options(service.address, service.key, "spam")
    comment = Shown("Ugspam", "FREE MONEY!!! click my channel http://win.example subscribe and check it out")
    with opened.open(pages.add("spam", [comment])) as tab:
        tab.click_icon()
        tab.wait_for("button", r"\S? ?spam \d+ %")
        tab.press(r"\S? ?spam \d+ %")
        tab.wait_for("button", "It is ham")


def test_without_a_key_nothing_is_sent(options: Tab, service: Recorder) -> None:
    assert read_outcome(options, service.address, " ") == "No key is set. Enter the service's key in the options."
    assert service.requests == []


def test_a_wrong_key_is_told(options: Tab, service: Recorder) -> None:
    said = read_outcome(options, service.address, "another key")
    assert said == "The service does not know this key (401). Enter the right one in the options."


def test_a_service_that_does_not_run_is_told(options: Tab) -> None:
    said = read_outcome(options, NOBODY, "a key")
    assert said == f'Nothing answers at {NOBODY}. Start it with "scorelake serve", or correct the address.'


def test_an_extension_that_is_not_let_in_is_told_the_setting(opened: Browser, service: Recorder) -> None:
    with opened.open_options(opened.copy) as options:
        said = read_outcome(options, service.address, service.key)
    setting = f"SCORELAKE_SERVE_ORIGINS=chrome-extension://{opened.copy}"
    assert said == f"The service at {service.address} does not let this extension in (403). Start it with {setting}"
    assert service.key not in str([(one.path, one.body) for one in service.requests])
    assert [(one.method, one.origin is None, one.status) for one in service.requests] == [
        ("OPTIONS", False, 403),
        ("GET", True, 200),
    ]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://scores.example:8321", "The key and the texts would travel in the clear: use https"),
        ("http://127.0.0.1.scores.example", "The key and the texts would travel in the clear: use https"),
        ("ftp://127.0.0.1", "The address must look like http://127.0.0.1:8321."),
        ("http://me:secret@127.0.0.1:8321", "The address must have no user, password"),
        ("http://127.0.0.1:8321/?key=1", "The address must have no user, password"),
    ],
)
def test_an_address_that_would_give_the_key_away_is_refused(
    options: Tab, service: Recorder, address: str, said: str
) -> None:
    assert read_outcome(options, address, "a key").startswith(said)
    assert service.requests == []


def test_the_page_says_how_to_let_the_extension_in(options: Tab) -> None:
    assert options.page.locator("#origin").inner_text() == f"SCORELAKE_SERVE_ORIGINS={ORIGIN}"
    assert ORIGIN in (FOLDER.parents[1] / "docs" / "extension.md").read_text()


def test_what_went_wrong_is_told_in_the_page_and_can_be_tried_again(
    opened: Browser, pages: WatchPages, service: Recorder
) -> None:
    opened.set_options(NOBODY, service.key)
    with opened.open(pages.add("again", [Shown("Ugone", "I love it")])) as tab:
        tab.click_icon()
        tab.wait_for("StaticText", f"Nothing answers at {NOBODY}.*")
        opened.set_options(service.address, service.key)
        tab.press("Try again")
        tab.wait_for("heading", "1 comment")
