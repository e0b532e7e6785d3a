"""Where the listing of each video's comments stands: which are due, from which page, and how far they go.

Pure, but for reading and writing `ops.cursors`. Walking the pages belongs to `youtube_listing`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, read_lake

if TYPE_CHECKING:
    import duckdb

_READ: Final = (Path(__file__).parent / "youtube_cursors.sql").read_text(encoding="utf-8")
_FORGET: Final = "delete from ops.cursors where video_id in (select unnest($video_ids))"
_APPEND: Final = "insert into ops.cursors by name select unnest($rows, recursive := true)"
# Comments may be shown a while after the instant that they bear.
_OVERLAP: Final = timedelta(hours=1)
_STATES: Final = {"commentsDisabled": "disabled", "videoNotFound": "not_found", "forbidden": "forbidden"}


@dataclass(frozen=True, slots=True)
class Cursor:
    """One row of `ops.cursors`; the meaning of each field is declared there."""

    video_id: str
    state: str
    began_at: datetime
    is_full: bool
    reason: str | None = None
    page_token: str | None = None
    comment_count: int | None = None
    caught_up_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def known_before(self) -> datetime | None:
        """Threads written before are known; None if the listing goes to the end whatever it meets."""
        return None if self.is_full or self.caught_up_at is None else self.caught_up_at - _OVERLAP

    def turn_page(self, page_token: str) -> "Cursor":
        """The cursor after a page that is followed by another."""
        return replace(self, state="open", page_token=page_token)

    def begin_again(self, *, now: datetime, comment_count: int | None) -> "Cursor":
        """The cursor of the same listing at its first page."""
        return replace(self, page_token=None, began_at=now, comment_count=comment_count)

    def finish(self) -> "Cursor":
        """The cursor at the end of the listing."""
        completed_at = self.began_at if self.is_full else self.completed_at
        return replace(self, state="done", page_token=None, caught_up_at=self.began_at, completed_at=completed_at)

    def give_up(self, reason: str) -> "Cursor":
        """The cursor of a listing that YouTube refuses; what is known of the video stays as it was."""
        return replace(self, state=_STATES.get(reason, "unreadable"), reason=reason, page_token=None)


@dataclass(frozen=True, slots=True)
class Video:
    """A video as `videos.list` tells it now; `comment_count` is null where comments are disabled."""

    video_id: str
    channel_id: str
    comment_count: int | None


def is_due(video: Video, cursor: Cursor | None, *, now: datetime, refresh: timedelta) -> bool:
    """Whether a video's comments are to be listed.

    They are if the listing was interrupted, if the video has another number of comments than at the last
    listing, and if the last complete listing is `refresh` ago: only that finds edits, deletions and what else
    leaves the number as it is. What is disabled, gone or forbidden is tried again as late; what failed for
    another reason, each time.
    """
    if cursor is None:
        return video.comment_count != 0
    if cursor.state in {"open", "unreadable"} or cursor.comment_count != video.comment_count:
        return True
    seen_at = cursor.completed_at if cursor.state == "done" else cursor.began_at
    return seen_at is None or seen_at <= now - refresh


def begin_listing(video: Video, cursor: Cursor | None, *, now: datetime, refresh: timedelta) -> Cursor:
    """The cursor to go on from: that of an interrupted listing, or of a new one.

    A new listing goes to the end if none ever has, or the last that did is `refresh` ago.
    """
    if cursor is not None and cursor.state == "open":
        return cursor
    caught_up_at = cursor.caught_up_at if cursor else None
    completed_at = cursor.completed_at if cursor else None
    return Cursor(
        video_id=video.video_id,
        state="open",
        began_at=now,
        is_full=caught_up_at is None or completed_at is None or completed_at <= now - refresh,
        comment_count=video.comment_count,
        caught_up_at=caught_up_at,
        completed_at=completed_at,
    )


def find_due(
    videos: Iterable[Video], cursors: Mapping[str, Cursor], *, now: datetime, refresh: timedelta
) -> list[tuple[Video, Cursor]]:
    """The videos whose comments are to be listed, each with the cursor to go on from, in their order.

    What is new under videos that are known comes first and costs little; then interrupted listings, videos
    never listed, and those to be refreshed. Within each, the longest unseen first: every video has its turn.
    """
    due = []
    for video in videos:
        cursor = cursors.get(video.video_id)
        if is_due(video, cursor, now=now, refresh=refresh):
            due.append((video, begin_listing(video, cursor, now=now, refresh=refresh)))
    return sorted(due, key=lambda pair: _rank(pair[1], cursors.get(pair[0].video_id)))


def _rank(listing: Cursor, before: Cursor | None) -> tuple[int, float]:
    if before is None:
        return 2, 0
    if not listing.is_full:
        return 0, before.began_at.timestamp()
    return (1 if before.state == "open" else 3), before.began_at.timestamp()


def read_cursors(lake: Lake, video_ids: Sequence[str]) -> dict[str, Cursor]:
    """The cursors of some videos, by id; what was listed before a batch of comments was taken back does not count."""
    with read_lake(lake) as connection:
        rows = connection.execute(_READ, {"video_ids": list(video_ids)}).fetchall()
    return {row[0]: Cursor(*row) for row in rows}


def replace_cursors(connection: "duckdb.DuckDBPyConnection", cursors: Iterable[Cursor], run_id: str) -> None:
    """Write cursors in place of those of the same videos, within the caller's transaction."""
    rows = [{**asdict(cursor), "run_id": run_id} for cursor in cursors]
    if rows:
        connection.execute(_FORGET, {"video_ids": [row["video_id"] for row in rows]})
        connection.execute(_APPEND, {"rows": rows})
