"""Comments from the YouTube Data API: the channels and videos asked for, as observed now, become rows of the lake.

The order of a run is here: targets first, then the comments of every video that is due, landed from time to
time, until all is listed or the day's units are used up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.batches import IngestReceipt
from feature_repo.sources.youtube_client import YouTubeApi
from feature_repo.sources.youtube_cursors import Cursor, Video, begin_listing, find_due, read_cursors
from feature_repo.sources.youtube_deletions import FinishedListing, count_deletions
from feature_repo.sources.youtube_faults import QuotaSpent
from feature_repo.sources.youtube_landing import Landing, YouTubeRequest
from feature_repo.sources.youtube_listing import list_comments
from feature_repo.sources.youtube_targets import Progress, Targets, check_ids, observe_targets

_REPLY_COUNTS: Final = """
select comment_id, arg_max(reply_count, observed_at) from raw.comment_counts
where comment_id in (select unnest($ids::varchar[])) group by comment_id
"""


@dataclass(frozen=True, slots=True)
class YouTubeReceipt:
    """What a run observed, and what is left.

    Parameters
    ----------
    batches
        The batches that it brought, each with what became of its rows.
    videos
        Videos found.
    videos_by_state
        Of those that were due: `done`, `open` (interrupted, goes on next time), `disabled`, `not_found`,
        `forbidden`, `unreadable`, and `waiting` for their turn; the other videos had nothing new.
    missing
        Ids asked for that YouTube does not know.
    unread
        What YouTube refused otherwise, by id: reason codes.
    comments_deleted, comments_returned
        Known comments that are not shown any more, and those that are again.
    comments_without_text
        Comments of only a picture, which make no row.
    calls
        Calls by method.
    units_spent
        Units of the day, those of other runs included.
    resets_at
        When the day of the quota ends (UTC).
    is_quota_spent
        Whether the run ended because of it.
    """

    run_id: str
    batches: tuple[IngestReceipt, ...]
    videos: int
    videos_by_state: Mapping[str, int]
    missing: tuple[str, ...]
    unread: Mapping[str, str]
    comments_deleted: int
    comments_returned: int
    comments_without_text: int
    calls: Mapping[str, int]
    units_spent: int
    units_per_day: int
    resets_at: datetime
    is_quota_spent: bool


class QuotaStop(QuotaSpent):
    """The day's units ran out; what was fetched is in the lake, and the next day's run goes on from there."""

    def __init__(self, reason: QuotaSpent, receipt: YouTubeReceipt) -> None:
        self.receipt = receipt
        super().__init__(
            f"{reason}. What was fetched is in the lake; a run after {receipt.resets_at:%Y-%m-%d %H:%M} UTC "
            "(midnight Pacific time) goes on where this one stopped"
        )


def _ignore_progress(_stage: str, _done: int, _total: int | None) -> None:
    """Nobody watches."""


def ingest_youtube(
    lake: Lake, request: YouTubeRequest, api: YouTubeApi, *, on_progress: Progress = _ignore_progress
) -> YouTubeReceipt:
    """Observe channels and videos with their statistics and comments, and land what was observed.

    The lake's tables must be there already. A second run brings only what is new: it asks for the comments
    of the videos whose number of comments has changed, and reads them up to those it knows. See
    `youtube_cursors.is_due` for edits and deletions.

    Raises
    ------
    QuotaStop
        If the budget or YouTube's quota was used up; what was fetched has landed.
    BadData
        If YouTube knows none of the ids, what is given is no id, or the key is not accepted.
    Refused
        If too many rows of a batch were bad.
    Unavailable
        If YouTube or the lake is away for too long; what was fetched has landed if the lake was not.
    """
    check_ids(request.channels, request.videos)
    run = _Run(lake, request, api, on_progress)
    try:
        run.observe()
    except QuotaSpent as reason:
        run.landing.land()
        raise QuotaStop(reason, run.build_receipt(is_quota_spent=True)) from None
    except (BadData, Unavailable):
        run.landing.land()  # it has been paid for
        raise
    run.check_found()
    return run.build_receipt(is_quota_spent=False)


class _Run:
    """One run on its way."""

    def __init__(self, lake: Lake, request: YouTubeRequest, api: YouTubeApi, on_progress: Progress) -> None:
        self.landing = Landing(lake, request, api.quota)
        self._lake = lake
        self._request = request
        self._api = api
        self._on_progress = on_progress
        self._refresh = timedelta(days=request.refresh_days)
        self._targets = Targets()
        self._states: dict[str, str] = {}
        self._comments = 0

    def observe(self) -> None:
        request = self._request
        self._targets = observe_targets(
            self._api, self.landing, channels=request.channels, videos=request.videos, on_progress=self._on_progress
        )
        self.landing.land()  # comments find their channels through their videos
        due = self._find_due()
        self._states = {video.video_id: "waiting" for video, _ in due}
        for number, (video, cursor) in enumerate(due):
            self._on_progress("videos listed", number, len(due))
            self._observe_comments(video, cursor)
        self.landing.land()

    def check_found(self) -> None:
        asked = (*self._request.channels, *self._request.videos)
        if set(asked) <= set(self._targets.missing):
            raise BadData(
                f"YouTube knows no {' and no '.join(asked[:5])}; expected the id of a channel or video that is public"
            )

    def build_receipt(self, *, is_quota_spent: bool) -> YouTubeReceipt:
        quota = self._api.quota
        deleted, returned = count_deletions(self._lake, self._request.run_id)
        return YouTubeReceipt(
            run_id=self._request.run_id,
            batches=tuple(self.landing.receipts),
            videos=len(self._targets.videos),
            videos_by_state=dict(Counter(self._states.values())),
            missing=tuple(self._targets.missing),
            unread=dict(self._targets.unread),
            comments_deleted=deleted,
            comments_returned=returned,
            comments_without_text=self.landing.rows_without_text,
            calls=quota.calls,
            units_spent=quota.read_spent(quota.resets_at),
            units_per_day=quota.units_per_day,
            resets_at=quota.resets_at,
            is_quota_spent=is_quota_spent,
        )

    def _find_due(self) -> list[tuple[Video, Cursor]]:
        videos = self._targets.videos
        cursors = read_cursors(self._lake, [video.video_id for video in videos])
        return find_due(videos, cursors, now=self._api.quota.clock(), refresh=self._refresh)

    def _observe_comments(self, video: Video, cursor: Cursor) -> None:
        """List a video's comments; after a listing of another day, also those that came since it began."""
        is_resumed = cursor.page_token is not None
        cursor = self._list(video, cursor)
        if is_resumed and cursor.state == "done" and cursor.comment_count != video.comment_count:
            now = self._api.quota.clock()
            self._list(video, begin_listing(video, cursor, now=now, refresh=self._refresh))

    def _list(self, video: Video, cursor: Cursor) -> Cursor:
        seen: set[str] = set()
        for step in list_comments(self._api, video, cursor, self._read_reply_counts):
            self.landing.add("comments", step.rows)
            seen.update(str(row["comment_id"]) for row in step.rows)
            self._tell_progress(len(step.rows))
            if step.cursor is not None:
                cursor = step.cursor
                self._mark(cursor, seen, is_whole=step.is_whole)
        return cursor

    def _mark(self, cursor: Cursor, seen: set[str], *, is_whole: bool) -> None:
        self._states[cursor.video_id] = cursor.state
        if cursor.reason:
            self._targets.unread[cursor.video_id] = cursor.reason
        finished = None
        if cursor.state == "done":
            now = self._api.quota.clock()
            finished = FinishedListing(cursor.video_id, cursor.began_at, now, frozenset(seen), is_whole)
        self.landing.mark(cursor, finished)
        if self.landing.is_due:
            self.landing.land()

    def _tell_progress(self, rows: int) -> None:
        self._comments += rows
        self._on_progress("comments", self._comments, None)

    def _read_reply_counts(self, ids: Iterable[str]) -> Mapping[str, int]:
        with read_lake(self._lake) as connection:
            return dict(connection.execute(_REPLY_COUNTS, {"ids": list(ids)}).fetchall())
