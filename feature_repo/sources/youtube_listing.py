"""The comments of one video, page after page: threads newest first, each with all of its replies.

What is written where, and which videos come when, belongs to `youtube_ingest`.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_repo.sources.youtube_client import Page, Parameters, YouTubeApi
from feature_repo.sources.youtube_cursors import Cursor, Video
from feature_repo.sources.youtube_faults import Rejected
from feature_repo.sources.youtube_rows import Row, build_reply, build_thread, has_more_replies, read_published_at

# Thread id → replies that the lake knows it has; what it does not know is left out.
ReplyCounts = Callable[[Iterable[str]], Mapping[str, int]]

_THREADS: Final[Parameters] = {"part": "snippet,replies", "order": "time", "maxResults": 100, "textFormat": "plainText"}
_REPLIES: Final[Parameters] = {"part": "snippet", "maxResults": 100, "textFormat": "plainText"}


@dataclass(frozen=True, slots=True)
class Listed:
    """What one step of a listing brought: rows, and after a page the cursor that stands for all rows so far.

    `is_whole` is told with the last cursor: whether this run has listed the video from the first thread to the
    last, so that what was not among the rows is not shown any more.
    """

    rows: tuple[Row, ...] = ()
    cursor: Cursor | None = None
    is_whole: bool = False


def list_comments(api: YouTubeApi, video: Video, cursor: Cursor, read_reply_counts: ReplyCounts) -> Iterator[Listed]:
    """List the comments of a video from where its cursor stands.

    A page token that YouTube does not accept any more begins the listing again, once; known rows are then
    simply known. What YouTube refuses for this video is noted in its cursor.

    Parameters
    ----------
    read_reply_counts
        Tells which threads have no reply that the lake does not know; a full listing does not ask.

    Raises
    ------
    QuotaSpent, BadData, Unavailable
        As `YouTubeApi.read_page`; the cursor that was given last still stands.
    """
    is_whole = cursor.is_full and cursor.page_token is None
    may_begin_again = True
    while cursor.state == "open":
        try:
            page = api.read_page("commentThreads", {**_THREADS, "videoId": video.video_id}, cursor.page_token)
        except Rejected as refusal:
            if cursor.page_token and refusal.may_be_page_token and may_begin_again:
                cursor = cursor.begin_again(now=api.quota.clock(), comment_count=video.comment_count)
                is_whole, may_begin_again = cursor.is_full, False
                continue
            yield Listed(cursor=cursor.give_up(refusal.reason))
            return
        is_whole &= yield from _list_threads(api, page, video, _choose_threads(page, cursor, read_reply_counts))
        is_last = page.next_token is None or _reaches(page, cursor.known_before)
        cursor = cursor.finish() if is_last else cursor.turn_page(str(page.next_token))
        yield Listed(cursor=cursor, is_whole=is_last and is_whole)


def _choose_threads(page: Page, cursor: Cursor, read_reply_counts: ReplyCounts) -> frozenset[str]:
    """The threads of a page whose replies are to be listed: those with more than came with them, unless known."""
    counts = {item["id"]: item["snippet"]["totalReplyCount"] for item in page.items if has_more_replies(item)}
    known = {} if cursor.is_full or not counts else read_reply_counts(counts)
    return frozenset(thread for thread, count in counts.items() if known.get(thread) != count)


def _list_threads(
    api: YouTubeApi, page: Page, video: Video, with_replies: frozenset[str]
) -> Generator[Listed, None, bool]:
    """The rows of a page's threads; whether all replies were listed that were to be.

    A thread follows its replies: its number of replies is known only when they are.
    """
    threads = {
        item["id"]: tuple(build_thread(item, page.observed_at, channel_id=video.channel_id)) for item in page.items
    }
    yield Listed(tuple(row for thread, rows in threads.items() if thread not in with_replies for row in rows))
    are_all = True
    for thread in (thread for thread in threads if thread in with_replies):
        try:
            for replies in api.read_pages("comments", {**_REPLIES, "parentId": thread}):
                top = threads[thread][0]
                yield Listed(tuple(build_reply(item, replies.observed_at, thread=top) for item in replies.items))
        except Rejected:  # the thread may be gone since; if not, the next refresh has its replies
            are_all = False
        yield Listed(threads[thread])
    return are_all


def _reaches(page: Page, known_before: datetime | None) -> bool:
    """Whether the page ends with a thread that was written before an instant."""
    published_at = read_published_at(page.items[-1]) if page.items and known_before else None
    return bool(published_at and known_before and published_at < known_before)
