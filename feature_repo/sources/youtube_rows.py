"""Items of the YouTube Data API as rows with the lake's column names: values as texts, null for what is not told.

Pure: pages in, rows out. Rows still hold authors in clear; they are hashed before anything is written, see
`youtube_landing`. What a good row is stays with the contracts.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]
Row: TypeAlias = dict[str, str | None]


def build_channel(item: Item, observed_at: datetime) -> Row:
    """The row of a channel, with its statistics; subscribers are null if the channel hides them."""
    statistics = item.get("statistics", {})
    is_hidden = statistics.get("hiddenSubscriberCount", False)
    return {
        "channel_id": item["id"],
        "title": item.get("snippet", {}).get("title"),
        "observed_at": observed_at.isoformat(),
        "subscriber_count": None if is_hidden else _tell(statistics, "subscriberCount"),
        "view_count": _tell(statistics, "viewCount"),
        "video_count": _tell(statistics, "videoCount"),
    }


def build_video(item: Item, observed_at: datetime) -> Row:
    """The row of a video, with its statistics; a count is null if the video hides it."""
    snippet, statistics = item["snippet"], item.get("statistics", {})
    return {
        "video_id": item["id"],
        "channel_id": snippet["channelId"],
        "title": snippet.get("title"),
        "published_at": snippet.get("publishedAt"),
        "observed_at": _tell_observed(observed_at, snippet),
        "view_count": _tell(statistics, "viewCount"),
        "like_count": _tell(statistics, "likeCount"),
        "comment_count": _tell(statistics, "commentCount"),
    }


def build_thread(item: Item, observed_at: datetime, *, channel_id: str) -> Iterator[Row]:
    """The rows of a thread: its top-level comment, then the replies that came with it.

    Parameters
    ----------
    channel_id
        Channel of the video; the items often tell none.
    """
    snippet = item["snippet"]
    video_id = snippet["videoId"]
    top = build_comment(snippet["topLevelComment"], observed_at, channel_id=channel_id, video_id=video_id)
    yield {**top, "reply_count": _tell(snippet, "totalReplyCount")}
    for reply in read_replies(item):
        yield build_reply(reply, observed_at, thread=top)


def build_reply(item: Item, observed_at: datetime, *, thread: Row) -> Row:
    """The row of a reply; `thread` is the row of the comment that it answers."""
    video_id, channel_id = str(thread["video_id"]), str(thread["channel_id"])
    reply = build_comment(item, observed_at, channel_id=channel_id, video_id=video_id)
    return {**reply, "parent_id": thread["comment_id"]}


def build_comment(item: Item, observed_at: datetime, *, channel_id: str, video_id: str) -> Row:
    """The row of one comment.

    The text is the original where YouTube shows it (to the comment's author always, to others as it pleases),
    else what it displays, asked for as plain text. The author is a channel id, or the name shown if the
    author has no channel any more.
    """
    snippet = item["snippet"]
    return {
        "comment_id": item["id"],
        "channel_id": channel_id,
        "video_id": video_id,
        "parent_id": None,
        "author_id": snippet.get("authorChannelId", {}).get("value") or snippet.get("authorDisplayName"),
        "text": snippet.get("textOriginal", snippet.get("textDisplay")),
        "published_at": snippet.get("publishedAt"),
        "observed_at": _tell_observed(observed_at, snippet),
        "like_count": _tell(snippet, "likeCount"),
        "reply_count": None,
    }


def read_replies(item: Item) -> list[Item]:
    """The replies that came with a thread: at most five, not always all."""
    replies: list[Item] = item.get("replies", {}).get("comments", [])
    return replies


def has_more_replies(item: Item) -> bool:
    """Whether a thread has replies that did not come with it."""
    return bool(item["snippet"].get("totalReplyCount", 0) > len(read_replies(item)))


def read_published_at(item: Item) -> datetime | None:
    """When a thread's top-level comment was written; None if that is not told."""
    return _read_published(item["snippet"]["topLevelComment"]["snippet"])


def _read_published(snippet: Item) -> datetime | None:
    """The instant of publication; None if it is not told, or so that the contract will refuse it."""
    try:
        at = datetime.fromisoformat(snippet.get("publishedAt", ""))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _tell_observed(observed_at: datetime, snippet: Item) -> str:
    """When the item was seen. What YouTube shows is published: if our clock is behind its, its clock counts."""
    return max(observed_at, _read_published(snippet) or observed_at).isoformat()


def _tell(values: Item, name: str) -> str | None:
    return str(values[name]) if name in values else None
