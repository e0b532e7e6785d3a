"""The extension in a real Chromium, on pages shaped like YouTube's, with the service as its users start it.

Switched on by SCORELAKE_TEST_BROWSER, the path of a Chromium; SCORELAKE_TEST_PICTURES names a folder for screenshots.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from scoring.serving.feedback import INBOX
from tests.scoring.extension_browser import BADGE, BROWSER, ORIGIN, Browser, Tab, score_page
from tests.scoring.recorded_service import Recorder
from tests.scoring.watch_pages import CHANNEL, COMMENTS, VIDEO, Shown, WatchPages, add_comments

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not BROWSER, reason="SCORELAKE_TEST_BROWSER names no Chromium"),
]


def test_nothing_is_sent_before_a_click(tab: Tab, service: Recorder) -> None:
    tab.page.mouse.wheel(0, 500)
    tab.page.keyboard.press("Space")
    tab.page.wait_for_timeout(500)
    assert service.requests == []
    assert tab.look("button", BADGE) == []


def test_a_click_gives_every_shown_comment_a_badge_and_a_chart_of_them_all(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    badges = tab.look("button", BADGE)
    assert len(badges) == 5
    assert [one.name.split()[-3] for one in badges[:2]] == ["positive", "negative"]
    assert badges[0].description.startswith("Moved by “")
    assert "love”" in badges[0].description
    [chart] = tab.look("image", "sentiment: .*")
    assert "unsure" in chart.name
    assert tab.look("heading", "5 comments")

    [request] = service.posted
    assert request.origin == ORIGIN
    assert request.path == "/v1/sentiment/score"
    place = {"channel_id": CHANNEL, "video_id": VIDEO}
    assert request.texts == [
        {"text": COMMENTS[0].text, **place, "is_reply": False, "like_count": 12},
        {"text": COMMENTS[1].text, **place, "is_reply": False},
        {"text": COMMENTS[2].text, **place, "is_reply": False},
        {"text": COMMENTS[3].text, **place, "is_reply": True},
        {"text": COMMENTS[4].text, **place, "is_reply": False},
    ]


def test_a_badge_tells_why(tab: Tab) -> None:
    score_page(tab)
    tab.press(r".*negative \d+ %")
    tab.wait_for("dialog", "About this score")
    assert "terrible”" in " ".join(node.name for node in tab.look("StaticText"))
    assert [node.name for node in tab.look("button", "It is .*")] == [
        "It is negative",
        "It is neutral",
        "It is positive",
    ]
    tab.keep("extension")


def test_where_the_model_abstains_the_badge_says_unsure(
    browser: Browser, pages: WatchPages, service: Recorder, recorded_home: Path
) -> None:
    with browser.open(pages.add("unsure", [Shown("Ugunsure", find_unsure(service, recorded_home))])) as tab:
        score_page(tab)
        [badge] = tab.look("button", BADGE)
        assert "unsure" in badge.name
        assert badge.description.startswith("Nearest is ")
        [chart] = tab.look("image", "sentiment: .*")
        assert "unsure 1 · 100 %" in chart.name


def find_unsure(service: Recorder, home: Path) -> str:
    """A comment of the lake at which its champion abstains."""
    with read_lake(Lake(home)) as connection:
        texts = connection.execute("select text from raw.comments order by comment_id limit 300").fetchall()
    asked = json.dumps({"texts": [{"text": text} for (text,) in texts], "top_words": 0}).encode()
    headers = {"X-API-Key": service.key, "Content-Type": "application/json"}
    results = json.loads(service.ask("POST", "/v1/sentiment/score", headers, asked)[2])["results"]
    return next(text for (text,), result in zip(texts, results, strict=True) if result["is_abstained"])


def test_new_comments_are_offered_and_wait_for_a_persons_press(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    more = [Shown("Ugmore", "so good, thank you"), Shown("Ugmost", "meh, boring and bad")]
    add_comments(tab.page, more)
    offer = tab.wait_for("button", "Score 2 new comments")
    tab.page.wait_for_timeout(300)
    assert len(service.posted) == 1
    tab.press_node(offer)
    tab.wait_for("heading", "7 comments")
    assert [one["text"] for one in service.posted[-1].texts] == [one.text for one in more]


def test_a_click_again_sends_only_what_is_new(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    add_comments(tab.page, [Shown("Ugmore", "so good, thank you")])
    tab.click_icon()
    tab.wait_for("heading", "6 comments")
    assert [len(one.texts) for one in service.posted] == [5, 1]


def test_an_element_that_shows_another_comment_loses_its_badge(tab: Tab) -> None:
    score_page(tab)
    tab.page.evaluate("document.querySelector('#content-text span').textContent = 'quite another text'")
    tab.wait_for("button", "Score 1 new comment")
    tab.wait_for("heading", "4 comments")
    assert len(tab.look("button", BADGE)) == 4


def test_on_the_next_video_everything_begins_anew(tab: Tab, service: Recorder) -> None:
    score_page(tab)
    tab.page.evaluate("document.querySelector('ytd-comments').replaceChildren()")
    tab.wait_for("heading", "0 comments")
    add_comments(tab.page, [Shown("Ugnext", "of another video")])
    tab.press("Score 1 new comment")
    tab.wait_for("heading", "1 comment")
    assert [len(one.texts) for one in service.posted] == [5, 1]


def test_closing_leaves_nothing_behind(tab: Tab) -> None:
    score_page(tab)
    tab.press("Close")
    assert tab.page.locator("scorelake-badge, scorelake-panel").count() == 0


def test_a_correction_is_stored_and_then_ingested_as_a_label(
    browser: Browser, pages: WatchPages, service: Recorder, recorded_home: Path
) -> None:
    lake = Lake(recorded_home)
    with read_lake(lake) as connection:
        known = connection.execute(
            "select comment_id, text from raw.comments where comment_id not in (select comment_id from raw.labels) "
            "order by comment_id limit 1"
        ).fetchone()
    assert known is not None
    with browser.open(pages.add("known", [Shown(*known)])) as tab:
        score_page(tab)
        tab.press(BADGE)
        tab.press("It is neutral")
        tab.wait_for("StaticText", "Stored: it counts from the next ingest of labels on.")
        tab.wait_for("button", r"\S? ?neutral yours")
    sent = json.loads(service.posted[-1].body)
    assert sent == {"model": "sentiment", "label": "neutral", "comment_id": known[0], "source": "extension"}
    ingest_inbox(lake)
    with read_lake(lake) as connection:
        labels = connection.execute(
            "select label, labeller from raw.labels where comment_id = ? and task = 'sentiment'", [known[0]]
        ).fetchall()
    assert labels == [("neutral", "feedback:extension")]


def ingest_inbox(lake: Lake) -> None:
    """As the deployment feedback-sentiment-hourly does."""
    request = IngestRequest(
        kind="labels",
        paths=tuple((lake.home / INBOX / "sentiment").iterdir()),
        mapping=read_mapping(),
        source="feedback",
        run_id="feedback",
        now=datetime.now(UTC),
        author_key=b"a key for tests",
        task="sentiment",
    )
    ingest_files(lake, request)


def test_a_selection_is_scored_from_the_toolbar(tab: Tab, service: Recorder) -> None:
    tab.page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    tab.click_icon()
    tab.wait_for("heading", "This text: .*")
    assert service.posted[0].texts == [{"text": "Two pans, one knife, no plan"}]
    assert len(tab.look("button", BADGE)) == 1
    tab.press(BADGE)
    tab.press("It is positive")
    tab.wait_for("StaticText", "no comment in the lake has exactly this text.*")


def test_a_selection_is_scored_from_the_menu(tab: Tab, browser: Browser, service: Recorder) -> None:
    score_page(tab)  # the browser lets the extension into the tab from here on, as it does at a click in the menu
    choose_from_menu(browser, "what a lovely day, thank you")
    tab.wait_for("heading", "This text: .*")
    assert service.posted[-1].texts == [{"text": "what a lovely day, thank you"}]


def choose_from_menu(browser: Browser, text: str) -> None:
    """The menu belongs to the desktop, which a headless browser has not: its event, as the browser gives it."""
    browser.worker.evaluate(
        """async (selectionText) => {
            const [tab] = await chrome.tabs.query({ active: true });
            chrome.contextMenus.onClicked.dispatch({ menuItemId: "score-selection", selectionText }, tab);
        }""",
        text,
    )


def test_a_page_without_comments_is_told_what_can_be_done(browser: Browser, pages: WatchPages) -> None:
    with browser.open(pages.add_page("empty", "<title>nothing</title>")) as tab:
        tab.click_icon()
        tab.wait_for("StaticText", "Select a text, or open a video on YouTube.*")


def test_dark_pages_get_dark_badges(tab: Tab) -> None:
    tab.page.evaluate("document.documentElement.setAttribute('dark', '')")
    score_page(tab)
    hosts = "all => all.map((one) => one.dataset.scheme)"
    assert set(tab.page.eval_on_selector_all("scorelake-badge, scorelake-panel", hosts)) == {"dark"}
