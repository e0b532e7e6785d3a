"""Runs as an operator's schedule would make them, against a YouTube of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from feature_repo.lake import Lake, read_lake
from feature_repo.sources.youtube_client import YouTubeApi
from feature_repo.sources.youtube_ingest import YouTubeReceipt, ingest_youtube
from feature_repo.sources.youtube_landing import YouTubeRequest
from feature_repo.sources.youtube_quota import Quota
from tests.feature_repo.youtube_server import KEY, Comment, Video, YouTube, serve

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Runner:
    """Runs as an operator's schedule would, at the instants that the test names."""

    def __init__(self, lake: Lake, youtube: YouTube, address: str) -> None:
        self.lake = lake
        self.youtube = youtube
        self._address = address
        self._runs = 0

    def run(self, *videos: str, channel: str | None = None, now: datetime = DAY, units: int = 10_000) -> YouTubeReceipt:
        api, request = self.open(*videos, channel=channel, now=now, units=units)
        return ingest_youtube(self.lake, request, api)

    def open(
        self, *videos: str, channel: str | None = None, now: datetime = DAY, units: int = 10_000
    ) -> tuple[YouTubeApi, YouTubeRequest]:
        """What the next run is given."""
        self._runs += 1
        run_id = f"run{self._runs}"
        quota = Quota(self.lake, run_id, units_per_day=units, clock=lambda: now)
        api = YouTubeApi(KEY, quota, base_url=self._address, first_wait=timedelta(milliseconds=1))
        return api, YouTubeRequest((channel,) if channel else (), videos, run_id, b"a key")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with read_lake(self.lake) as connection:
            return connection.execute(sql).fetchall()


def make_threads(count: int, *, first: int = 0) -> list[Comment]:
    """Threads c<first>, ... without replies, a minute apart."""
    return [Comment(f"c{number}", f"text {number}", minute=number) for number in range(first, first + count)]


def names(*numbers: int) -> list[tuple[str]]:
    return [(f"c{number}",) for number in numbers]


KNOWN = "select comment_id from raw.comments order by published_at, comment_id"
DELETIONS = "select comment_id, observed_at, is_deleted from raw.comment_deletions order by observed_at, comment_id"
CURSORS = "select video_id, state, is_full, began_at, completed_at from ops.cursors order by 1"


@contextmanager
def watch(lake: Lake, *videos: Video) -> Iterator[Runner]:
    youtube = YouTube(*videos)
    with serve(youtube) as address:
        yield Runner(lake, youtube, address)
