"""The lookup page: nothing from outside, texts as text, and what it shows in a browser.

The browser is switched on by SCORELAKE_TEST_BROWSER, the path of a Chromium; SCORELAKE_TEST_PICTURES names a folder.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from feature_repo.features.texts import describe_texts
from feature_repo.lake import Lake, write_lake
from tests.path.test_browser import BROWSER, FLAGS, PICTURES
from tests.scoring.serving import KEY, Client, serve

pytestmark = pytest.mark.path

FILES = Path(__file__).parents[2] / "scoring" / "serving"
HOSTILE = "<img src=x onerror=\"document.title='executed'\"><script>document.title='executed'</script>"


def test_the_page_is_three_files_of_the_service_under_a_strict_policy(client: Client) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        answer = client.http.get(path)
        assert answer.headers["content-type"].startswith(kind)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_nothing_is_fetched_from_elsewhere_and_no_markup_is_made_of_data() -> None:
    text = "".join((FILES / f"page.{kind}").read_text() for kind in ("html", "js", "css"))
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|\.on\w+ ?=", text)
    html = (FILES / "page.html").read_text()
    assert "<style" not in html
    assert not re.search(r"\son\w+=|style=", html)


@pytest.fixture
def hostile(served_home: Path, tmp_path: Path) -> Iterator[tuple[Client, str]]:
    """A service on a lake in which a comment, the title of a channel, and an id hold markup."""
    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update raw.channels set title = ?", [HOSTILE])
        [(comment_id, text)] = connection.execute(
            "select comment_id, text from scores.spam_current inner join raw.comments using (comment_id, text_id) "
            "where label = 'spam' order by confidence desc, comment_id limit 1"
        ).fetchall()
        connection.execute("update raw.comments set text = ? where comment_id = ?", [HOSTILE + text, comment_id])
        tokens = describe_texts([HOSTILE + text]).select(["token_ids_v1", "prefix_ids_v1"]).to_pylist()[0]
        connection.execute(
            "update features.comment_features set token_ids_v1 = ?, prefix_ids_v1 = ? where comment_id = ?",
            [*tokens.values(), comment_id],
        )
    with serve(lake) as client:
        yield client, comment_id


@pytest.mark.skipif(not os.environ.get("SCORELAKE_TEST_BROWSER"), reason="SCORELAKE_TEST_BROWSER names no Chromium")
@pytest.mark.parametrize("size", [(1280, 900), (360, 740)], ids=["desk", "phone"])
def test_a_person_looks_up_champions_moods_and_a_comment(hostile: tuple[Client, str], size: tuple[int, int]) -> None:
    client, comment_id = hostile
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        look_up(page, client, comment_id)
        assert page.title() == "scorelake", "markup of others was executed"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it fits the width"
        assert wrong == []
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"page-{size[0]}.jpg", type="jpeg", quality=60, full_page=True)
        browser.close()


def look_up(page: Page, client: Client, comment_id: str) -> None:
    page.goto(client.address)
    page.fill("#key", "wrong")
    page.click("#enter button")
    expect(page.locator("#said")).to_contain_text("no key, or none that is known")
    page.fill("#key", KEY)
    page.click("#enter button")
    expect(page.locator("#models")).to_contain_text("spam version 1")
    expect(page.locator("#models")).to_contain_text("data version")
    expect(page.locator("#chart rect").first).to_be_visible()
    assert HOSTILE in (page.locator("#channel option").first.text_content() or "")
    page.fill("#comment", comment_id)
    page.click("#search button")
    expect(page.locator("#found blockquote").first).to_contain_text(HOSTILE)
    expect(page.locator("#found")).to_contain_text("log-odds")
    page.fill("#comment", "nobody")
    page.click("#search button")
    expect(page.locator("#said")).to_contain_text("no comment of this id has a score in force")
    page.fill("#text", "I love this, thank you!")
    page.click("#try button")
    expect(page.locator("#tried")).to_contain_text("positive")
    page.reload()
    expect(page.locator("#models")).to_contain_text("spam version 1")
    page.click("#leave")
    expect(page.locator("#key")).to_be_visible()
    page.reload()
    expect(page.locator("#inside")).to_be_hidden()
    page.fill("#key", KEY)
    page.click("#enter button")
    expect(page.locator("#chart rect").first).to_be_visible()
