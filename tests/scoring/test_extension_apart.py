"""The extension keeps apart from pages: what a page, a comment or a service could do to it; and the limits it keeps."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.scoring.extension_browser import BADGE, BROWSER, Browser, Tab, run_as_content_script, score_page
from tests.scoring.recorded_service import Answer, Recorder
from tests.scoring.watch_pages import Shown, WatchPages, add_comments

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not BROWSER, reason="SCORELAKE_TEST_BROWSER names no Chromium"),
]

HOSTILE = """<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>"""
# All that badges and panel are made of.
OURS = {"section", "h2", "div", "p", "span", "button", "ul", "li", "svg", "g", "rect", "text"}


def test_a_hostile_comment_does_not_execute(browser: Browser, pages: WatchPages, service: Recorder) -> None:
    with browser.open(pages.add("hostile", [Shown("Ughostile", HOSTILE), Shown("Ug2", "thank you, I love it")])) as tab:
        score_page(tab)
        assert service.posted[0].texts[0]["text"] == HOSTILE
        for badge in tab.look("button", BADGE):
            tab.press_node(badge)
            tab.wait_for("dialog", "About this score")
            tab.page.keyboard.press("Escape")
        assert tab.list_elements() <= OURS
        assert tab.page.evaluate("window.hacked") == 0


def test_a_hostile_answer_does_not_execute(tab: Tab, service: Recorder) -> None:
    service.alter = make_hostile
    tab.click_icon()
    tab.wait_for("heading", "5 comments")
    tab.wait_for("image", ".*<img src=x.*")
    tab.press_node(tab.look("button", ".*<img src=x.*")[0])
    tab.wait_for("listitem")
    assert HOSTILE in tab.look("StaticText", ".*<script>.*")[0].name
    assert tab.list_elements() <= OURS
    assert tab.page.evaluate("window.hacked") == 0
    assert run_as_content_script(tab, "typeof hacked") == "undefined"


def make_hostile(answer: Answer) -> Answer:
    result = {
        "label": HOSTILE,
        "confidence": 0.9,
        "probabilities": {HOSTILE: 0.9, "__proto__": 0.1},
        "words": [{"name": HOSTILE, "kind": HOSTILE, "weight": HOSTILE}],
    }
    return {"model": HOSTILE, "model_version": HOSTILE, "results": [result] * len(answer["results"])}


@pytest.mark.parametrize("results", [None, "five", [], [None] * 5, [{}] * 4])
def test_an_answer_that_fits_no_contract_is_told(tab: Tab, service: Recorder, results: Any) -> None:
    service.alter = lambda answer: {**answer, "results": results}
    tab.click_icon()
    tab.wait_for("StaticText", "What answers at .* does not answer as scorelake does.")
    assert tab.look("button", BADGE) == []


def test_a_page_cannot_look_into_badges_or_spoil_them(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    badge = tab.page.locator("scorelake-badge").first
    assert badge.evaluate("one => one.shadowRoot") is None
    assert "%" not in badge.inner_text()
    assert tab.page.evaluate("typeof scorelake") == "undefined"
    assert service.key not in tab.page.content()
    # The page's style has letters of 40 pixels for buttons.
    box = badge.bounding_box()
    assert box is not None
    assert box["height"] < 30


def test_keys_pressed_on_a_badge_do_not_reach_the_page(tab: Tab) -> None:
    score_page(tab)
    tab.press(BADGE)
    tab.page.keyboard.press("Space")
    assert tab.page.evaluate("paused") == 0


def test_a_content_script_cannot_read_the_key(tab: Tab) -> None:
    score_page(tab)
    read = "chrome.storage.local.get().then(String, (error) => error.message)"
    assert "not allowed" in run_as_content_script(tab, read)


def test_a_script_cannot_press_a_button(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    add_comments(tab.page, [Shown("Ugmore", "so good, thank you")])
    tab.wait_for("button", "Score 1 new comment")
    # Even with a hand in the closed root, as no page has it.
    press = """Array.from(
        chrome.dom.openOrClosedShadowRoot(document.querySelector("scorelake-panel")).querySelectorAll("button"),
        (one) => (one.click(), one.textContent),
    )"""
    assert run_as_content_script(tab, press) == ["Score 1 new comment", "Options", "Close"]
    tab.page.wait_for_timeout(300)
    assert len(service.posted) == 1
    assert tab.look("button", "Close")


def test_too_many_requests_are_waited_for(tab: Tab, service: Recorder) -> None:
    service.before = service.use_up
    tab.click_icon()
    tab.wait_for("StaticText", r"Too many requests for now \(429\)\. Going on in \d+ s…")
    tab.wait_for("heading", "5 comments")
    statuses = [one.status for one in service.posted]
    assert set(statuses[:-1]) == {429}
    assert statuses[-1] == 200


def test_batches_keep_to_the_services_limits(browser: Browser, pages: WatchPages, service: Recorder) -> None:
    many = [Shown(f"Ug{number}", f"comment {number}") for number in range(1_010)]
    long = [Shown(f"Uglong{number}", "\N{PILE OF POO}" * 10_000) for number in range(30)]
    with browser.open(pages.add("many", [*many, *long])) as tab:
        tab.click_icon()
        expect(tab.page.locator("scorelake-badge")).to_have_count(1_040, timeout=60_000)
    assert [one.status for one in service.posted] == [200, 200, 200]
    assert [len(one.texts) for one in service.posted] == [1_000, 34, 6]
    assert max(len(one.body) for one in service.posted) < 1 << 20


def test_a_text_that_is_too_long_is_cut_and_that_is_told(
    browser: Browser, pages: WatchPages, service: Recorder
) -> None:
    with browser.open(pages.add("long", [Shown("Uglong", "so good \N{PILE OF POO} " * 1_200)])) as tab:
        score_page(tab)
        assert "Only its beginning was scored." in tab.look("button", BADGE)[0].description
    assert len(service.posted[0].texts[0]["text"]) == 10_000
