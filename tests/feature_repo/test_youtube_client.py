"""One page at a time over real HTTP: what is sent, what is tried again, and what is said when it fails."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake
from feature_repo.sources.youtube_client import YouTubeApi
from feature_repo.sources.youtube_faults import QuotaSpent, Rejected
from feature_repo.sources.youtube_quota import Quota
from tests.feature_repo.youtube_runner import make_threads
from tests.feature_repo.youtube_server import KEY, Fault, Video, YouTube, quota_exceeded, serve

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BUSY = Fault(403, "rateLimitExceeded", "Slow down.")
AWAY = Fault(503, "backendError", "Away.")


@pytest.fixture
def youtube() -> YouTube:
    return YouTube(Video("v1", threads=make_threads(5)))


@pytest.fixture
def address(youtube: YouTube) -> Iterator[str]:
    with serve(youtube) as served:
        yield served


def _open(lake: Lake, address: str, key: str = KEY) -> YouTubeApi:
    quota = Quota(lake, "r1", units_per_day=1_000, clock=lambda: NOW)
    return YouTubeApi(key, quota, base_url=address, first_wait=timedelta(milliseconds=1))


def test_the_key_travels_in_a_header_and_never_in_an_address(lake: Lake, youtube: YouTube, address: str) -> None:
    page = _open(lake, address).read_page("videos", {"part": "snippet", "id": "v1"})
    assert ([item["id"] for item in page.items], page.next_token, page.observed_at) == (["v1"], None, NOW)
    (call,) = youtube.calls
    assert (call.key, call.parameters) == (KEY, {"part": "snippet", "id": "v1", "alt": "json"})
    assert KEY not in call.address


@pytest.mark.parametrize("fault", [BUSY, AWAY, Fault(429, "rateLimitExceeded"), Fault(403, "userRateLimitExceeded")])
def test_what_passes_is_tried_again(lake: Lake, youtube: YouTube, address: str, fault: Fault) -> None:
    youtube.faults = [fault, fault, fault]
    api = _open(lake, address)
    assert api.read_page("videos", {"part": "snippet", "id": "v1"}).items
    assert (len(youtube.calls), api.quota.calls) == (4, {"videos": 4})


def test_what_does_not_pass_is_unavailable(lake: Lake, youtube: YouTube, address: str) -> None:
    youtube.faults = [AWAY] * 9
    with pytest.raises(Unavailable, match=r"YouTube answered 503 backendError to videos: Away\.\. Try again later"):
        _open(lake, address).read_page("videos", {"part": "snippet", "id": "v1"})
    assert len(youtube.calls) == 6


@pytest.mark.parametrize(
    ("fault", "family", "words"),
    [
        (quota_exceeded(), QuotaSpent, "today's quota of the key is used up"),
        (Fault(403, "commentsDisabled"), Rejected, "403 commentsDisabled"),
        (Fault(403, "accessNotConfigured"), BadData, "does not accept the API key"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    lake: Lake, youtube: YouTube, address: str, fault: Fault, family: type[Exception], words: str
) -> None:
    youtube.faults = [fault]
    with pytest.raises(family, match=words):
        _open(lake, address).read_page("videos", {"part": "snippet", "id": "v1"})
    assert len(youtube.calls) == 1


def test_a_wrong_key_is_told_in_clear_words_without_the_key(lake: Lake, youtube: YouTube, address: str) -> None:
    with pytest.raises(BadData, match=r"YouTube does not accept the API key .*API key not valid") as caught:
        _open(lake, address, key="AIza-wrong").read_page("videos", {"part": "snippet", "id": "v1"})
    assert "AIza" not in str(caught.value)
    assert youtube.calls[0].key == "AIza-wrong"


@pytest.mark.parametrize("key", ["", "two\nlines", "Schlüssel"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(lake: Lake, address: str, key: str) -> None:
    with pytest.raises(BadData, match=r"expected printable ASCII characters in SCORELAKE_YOUTUBE_API_KEY$"):
        _open(lake, address, key)


def test_nothing_logs_the_key(
    lake: Lake, youtube: YouTube, address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    youtube.faults = [BUSY, AWAY, Fault(400, "badRequest", f"what is {KEY}?")]
    with pytest.raises(Rejected, match="what is <key>"):
        _open(lake, address).read_page("videos", {"part": "snippet", "id": "v1"})
    records = [str(record.__dict__) for record in caplog.records]
    assert any("stamina.retry_scheduled" in record for record in records), "the attempts are logged"
    assert any("URL being requested" in record for record in records), "Google's client logs addresses"
    assert KEY not in "".join(records) + "".join(capfd.readouterr())


def test_a_network_that_is_down_is_unavailable(lake: Lake, youtube: YouTube) -> None:
    with serve(youtube) as address:
        pass
    with pytest.raises(Unavailable, match=r"YouTube cannot be reached \(.*refused.*\)\. Try again later"):
        _open(lake, address).read_page("videos", {"part": "snippet", "id": "v1"})


@pytest.mark.parametrize(
    ("status", "location", "content", "family", "words"),
    [
        (200, None, b"<html>hotel</html>", Unavailable, "YouTube's answer to videos is not a JSON object: a proxy"),
        (200, None, b"\xff\xfe", Unavailable, "YouTube's answer to videos is not a JSON object"),
        (200, None, b"[]", Unavailable, "YouTube's answer to videos is not a JSON object"),
        (302, "http://127.0.0.1:1/elsewhere", b"", Rejected, "YouTube answered 302 unknown to videos"),
    ],
)
def test_a_proxy_in_between_is_not_taken_for_youtube(
    lake: Lake, status: int, location: str | None, content: bytes, family: type[Exception], words: str
) -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Tests speak for themselves."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        api = _open(lake, f"http://127.0.0.1:{server.server_address[1]}/")
        try:
            with pytest.raises(family, match=words):
                api.read_page("videos", {"part": "snippet", "id": "v1"})
        finally:
            server.shutdown()


def test_pages_begin_again_once_when_a_token_is_refused(lake: Lake, youtube: YouTube, address: str) -> None:
    youtube.page_size = 2
    pages = _open(lake, address).read_pages("commentThreads", {"part": "snippet", "videoId": "v1"})
    read = [next(pages)]
    youtube.forget_tokens()
    read += list(pages)
    assert [[item["id"] for item in page.items] for page in read] == [["c4", "c3"], ["c4", "c3"], ["c2", "c1"], ["c0"]]

    pages = _open(lake, address).read_pages("commentThreads", {"part": "snippet", "videoId": "v1"})
    next(pages)
    youtube.forget_tokens()
    next(pages)
    youtube.forget_tokens()
    with pytest.raises(Rejected, match="400 processingFailure"):
        next(pages)
