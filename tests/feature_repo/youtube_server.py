"""A YouTube of the tests' own: an HTTP server on loopback that speaks the documented protocol of the Data API v3.

Answers and errors have the shape of real ones. It counts units, knows one key, pages by opaque tokens, and does
what a test tells it: refuse, break, forget its tokens.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

KEY = "AIzaSy-a-key-for-tests"
START = datetime(2026, 11, 1, tzinfo=UTC)
_MAX_RESULTS = {"commentThreads": 100, "comments": 100, "playlistItems": 50}
_EMBEDDED_REPLIES = 5
Json = dict[str, Any]
T = TypeVar("T")


@dataclass
class Comment:
    """A comment as its author left it; `minute` after START is when it was written."""

    comment_id: str
    text: str = "text"
    author: str = "UCauthor"
    likes: int = 0
    minute: int = 0
    replies: "list[Comment]" = field(default_factory=list)


@dataclass
class Video:
    """A video and its threads, oldest first."""

    video_id: str
    channel_id: str = "UCchannel"
    threads: list[Comment] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    views: int = 1_000

    @property
    def comment_count(self) -> int:
        return sum(1 + len(thread.replies) for thread in self.threads)


@dataclass
class Call:
    """A request that came in."""

    method: str
    parameters: dict[str, str]
    address: str
    key: str | None


class Fault(Exception):  # noqa: N818 - what the server answers
    """An error answer in Google's shape."""

    def __init__(self, status: int, reason: str, message: str = "refused", detail: str | None = None) -> None:
        super().__init__(reason)
        error: Json = {"code": status, "message": message, "errors": [{"message": message, "reason": reason}]}
        if detail:
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}]
        self.status = status
        self.body = {"error": error}


def bad_key() -> Fault:
    return Fault(400, "badRequest", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")


def quota_exceeded() -> Fault:
    quota = '<a href="/youtube/v3/getting-started#quota">quota</a>'
    return Fault(403, "quotaExceeded", f"The request cannot be completed because you have exceeded your {quota}.")


class YouTube:
    """What the server has, and what it does.

    `page_size` cuts pages shorter than asked for, as YouTube may. `faults` are answered first, one a call;
    `fault_at` from the n-th call of a method on. After `forget_tokens`, page tokens given before are refused.
    `canned` answers stand in for a method's. Without `units_left`, the quota is used up.
    """

    def __init__(self, *videos: Video) -> None:
        self.videos = {video.video_id: video for video in videos}
        self.channels = dict.fromkeys(video.channel_id for video in videos)
        self.page_size = 100
        self.faults: list[Fault] = []
        self.fault_at: dict[tuple[str, int], Fault] = {}
        self.canned: dict[str, Callable[[Mapping[str, str]], Json]] = {}
        self.calls: list[Call] = []
        self.units_left: int | None = None
        self._tokens: dict[str, int] = {}

    def count_calls(self) -> dict[str, int]:
        """Calls by method since the last time."""
        counts: dict[str, int] = {}
        for call in self.calls:
            counts[call.method] = counts.get(call.method, 0) + 1
        self.calls.clear()
        return counts

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def answer(self, call: Call) -> Json:
        self.calls.append(call)
        if call.key != KEY:
            raise bad_key()
        if self.units_left is not None:
            if not self.units_left:
                raise quota_exceeded()
            self.units_left -= 1
        if self.faults:
            raise self.faults.pop(0)
        for (method, number), fault in self.fault_at.items():
            if method == call.method and sum(made.method == method for made in self.calls) >= number:
                raise fault
        if call.method in self.canned:
            return self.canned[call.method](call.parameters)
        answers = {
            "channels": self._channels,
            "playlistItems": self._uploads,
            "videos": self._videos,
            "commentThreads": self._threads,
            "comments": self._replies,
        }
        return answers[call.method](call)

    def _channels(self, call: Call) -> Json:
        asked = call.parameters["id"].split(",")
        return {"items": [_build_channel(name) for name in asked if name in self.channels]}

    def _videos(self, call: Call) -> Json:
        asked = call.parameters["id"].split(",")
        if len(asked) > 50:
            raise Fault(400, "invalidFilters")
        return {"items": [_build_video(self.videos[name]) for name in asked if name in self.videos]}

    def _uploads(self, call: Call) -> Json:
        channel = call.parameters["playlistId"].replace("UU", "UC", 1)
        videos = [video.video_id for video in self.videos.values() if video.channel_id == channel]
        if not videos:
            raise Fault(404, "playlistNotFound")
        return self._page(call, videos, lambda video_id: {"contentDetails": {"videoId": video_id}})

    def _threads(self, call: Call) -> Json:
        video = self.videos.get(call.parameters["videoId"])
        if video is None:
            raise Fault(404, "videoNotFound")
        if video.refusal:
            raise Fault(*video.refusal)
        newest_first = sorted(video.threads, key=lambda thread: -thread.minute)
        return self._page(call, newest_first, lambda thread: _build_thread(thread, video))

    def _replies(self, call: Call) -> Json:
        threads = {thread.comment_id: thread for video in self.videos.values() for thread in video.threads}
        parent = threads.get(call.parameters["parentId"])
        if parent is None:
            raise Fault(404, "commentNotFound")
        return self._page(call, parent.replies, lambda reply: _build_reply(reply, parent))

    def _page(self, call: Call, everything: Sequence[T], build: Callable[[T], Json]) -> Json:
        size = min(int(call.parameters.get("maxResults", 5)), _MAX_RESULTS[call.method], self.page_size)
        token = call.parameters.get("pageToken")
        if token and token not in self._tokens:
            raise Fault(400, "invalidPageToken" if call.method == "playlistItems" else "processingFailure")
        first = self._tokens[token] if token else 0
        page: Json = {"items": [build(one) for one in everything[first : first + size]]}
        if first + size < len(everything):
            following = urlsafe_b64encode(f"{call.method} {len(self._tokens)}".encode()).decode()
            self._tokens[following] = first + size
            page["nextPageToken"] = following
        return page


@contextmanager
def serve(youtube: YouTube) -> Iterator[str]:
    """The address at which a YouTube answers for as long as this lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # otherwise each answer waits 40 ms between its headers and its body

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            method = address.path.removeprefix("/youtube/v3/")
            call = Call(method, dict(parse_qsl(address.query)), self.path, self.headers.get("X-Goog-Api-Key"))
            try:
                status, body = 200, {"kind": f"youtube#{method}Response", **youtube.answer(call)}
            except Fault as fault:
                status, body = fault.status, fault.body
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Tests speak for themselves."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tell(minute: int) -> str:
    return f"{START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


def _build_channel(name: str) -> Json:
    return {
        "kind": "youtube#channel",
        "id": name,
        "snippet": {"title": f"title of {name}", "publishedAt": "2007-08-23T00:34:43Z"},
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": name.replace("UC", "UU", 1)}},
        "statistics": {
            "viewCount": "3331930783",
            "subscriberCount": "10700000",
            "hiddenSubscriberCount": False,
            "videoCount": "2678",
        },
    }


def _build_video(video: Video) -> Json:
    statistics = {"viewCount": str(video.views), "likeCount": "7", "favoriteCount": "0"}
    if not video.refusal:
        statistics["commentCount"] = str(video.comment_count)
    return {
        "kind": "youtube#video",
        "id": video.video_id,
        "snippet": {
            "publishedAt": "2026-10-01T20:37:49Z",
            "channelId": video.channel_id,
            "title": f"title of {video.video_id}",
            "channelTitle": f"title of {video.channel_id}",
        },
        "statistics": statistics,
    }


def _build_thread(thread: Comment, video: Video) -> Json:
    item: Json = {
        "kind": "youtube#commentThread",
        "id": thread.comment_id,
        "snippet": {
            "channelId": video.channel_id,
            "videoId": video.video_id,
            "topLevelComment": _build_comment(thread),
            "canReply": True,
            "totalReplyCount": len(thread.replies),
            "isPublic": True,
        },
    }
    if thread.replies:
        newest = thread.replies[-_EMBEDDED_REPLIES:]
        item["replies"] = {"comments": [_build_reply(reply, thread) for reply in newest]}
    return item


def _build_reply(reply: Comment, thread: Comment) -> Json:
    item = _build_comment(reply)
    return {**item, "snippet": {**item["snippet"], "parentId": thread.comment_id}}


def _build_comment(comment: Comment) -> Json:
    return {
        "kind": "youtube#comment",
        "id": comment.comment_id,
        "snippet": {
            "authorDisplayName": f"@name-of-{comment.author}",
            "authorProfileImageUrl": f"https://yt3.ggpht.com/{comment.author}",
            "authorChannelUrl": f"http://www.youtube.com/channel/{comment.author}",
            "authorChannelId": {"value": comment.author},
            "textDisplay": comment.text,
            "textOriginal": comment.text,
            "canRate": True,
            "viewerRating": "none",
            "likeCount": comment.likes,
            "publishedAt": _tell(comment.minute),
            "updatedAt": _tell(comment.minute),
        },
    }
