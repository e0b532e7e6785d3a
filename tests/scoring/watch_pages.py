"""A server of pages shaped like YouTube's, with comments of the tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from threading import Thread

from playwright.sync_api import Page

VIDEO = "FHYehkbcqm2"
CHANNEL = "UC7TKYrj5YbgWFUIxMJ_DelK"
_PAGE = Template(Path(__file__).with_name("watch_page.html").read_text())


@dataclass(frozen=True, slots=True)
class Shown:
    """A comment as the page shows it; `markup` is what stands in its text's place, the text itself if not given."""

    comment_id: str
    text: str
    likes: str = ""
    is_reply: bool = False
    is_hidden: bool = False
    is_old_layout: bool = False
    markup: str | None = None


# An emoji is a picture there.
_PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E%3Cpath fill=%22red%22 "
    "d=%22M8 15 1 7a4 4 0 0 1 7-4 4 4 0 0 1 7 4z%22/%3E%3C/svg%3E"
)
_HEART = f"<img alt='\N{HEAVY BLACK HEART}' height='16' src='{_PICTURE}'>"
COMMENTS = (
    Shown("Ugone", "I love this, the best recipe ever, thank you so much!", likes="12"),
    Shown("Ugtwo", "this is terrible, worst sound i have ever heard, i hate it", likes="1.2K"),
    Shown("Ugthree", "what knife is that at 3:12?", is_old_layout=True),
    Shown("Ugone.9reply", "same here \N{HEAVY BLACK HEART}", is_reply=True, markup=f"same here {_HEART}"),
    Shown("Ugfour", "first line\nand a second one", markup="first line<br>and a second one"),
    Shown("Ughidden", "nobody sees this one", is_hidden=True),
)


def build_comment(one: Shown) -> str:
    """A thread of one comment, or of one reply, in YouTube's markup."""
    name = "ytd-comment-renderer" if one.is_old_layout else "ytd-comment-view-model"
    markup = escape(one.text) if one.markup is None else one.markup
    comment = f"""<{name} id="comment" {"hidden" if one.is_hidden else ""}>
        <div id="header-author"><h3><a id="author-text" href="/@someone"><span>@someone</span></a></h3>
          <span id="published-time-text"><a href="/watch?v={VIDEO}&amp;lc={one.comment_id}">2 days ago</a></span></div>
        <ytd-expander id="expander"><div id="content"><yt-attributed-string id="content-text"><span
          class="yt-core-attributed-string" role="text">{markup}</span></yt-attributed-string></div></ytd-expander>
        <span id="vote-count-middle"> {one.likes} </span></{name}>"""
    if one.is_reply:
        comment = f"<ytd-comment-replies-renderer>{comment}</ytd-comment-replies-renderer>"
    return f"<ytd-comment-thread-renderer>{comment}</ytd-comment-thread-renderer>"


class WatchPages:
    """Pages by their path, and where they are served."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.address = ""

    def add(self, name: str, comments: Sequence[Shown]) -> str:
        """A watch page with these comments; its address."""
        return self.add_page(name, _PAGE.substitute(channel=CHANNEL, comments="".join(map(build_comment, comments))))

    def add_page(self, name: str, page: str) -> str:
        self.pages[f"/{name}"] = page
        return f"{self.address}/{name}?v={VIDEO}"


@contextmanager
def serve_pages() -> Iterator[WatchPages]:
    pages = WatchPages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.pages.get(self.path.partition("?")[0])
            body = (page or "").encode()
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            # As strict as YouTube: nothing here may turn a text into markup or script.
            self.send_header("Content-Security-Policy", "require-trusted-types-for 'script'")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        pages.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield pages
        finally:
            server.shutdown()


def add_comments(page: Page, comments: Sequence[Shown]) -> None:
    """Add comments at the end, as YouTube does when a person scrolls down."""
    page.evaluate(
        """(markups) => {
            const policy = trustedTypes.createPolicy("page", { createHTML: (text) => text });
            const comments = document.querySelector("ytd-comments");
            for (const markup of markups) comments.insertAdjacentHTML("beforeend", policy.createHTML(markup));
        }""",
        [build_comment(one) for one in comments],
    )
