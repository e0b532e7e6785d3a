"""The daily budget: what counts against it, and when a day ends."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.sources.youtube_faults import QuotaSpent
from feature_repo.sources.youtube_quota import Quota, find_reset


def _at(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


class Watch:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def _write(lake: Lake, quota: Quota) -> None:
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, quota.replace_calls)


@pytest.mark.parametrize(
    ("at", "resets_at"),
    [
        (_at(11, 20, 7, 59), _at(11, 20, 8)),
        (_at(11, 20, 8), _at(11, 21, 8)),
        (_at(7, 1, 12), _at(7, 2, 7)),
        (_at(11, 1, 6, 59), _at(11, 1, 7)),  # the last night of summer time
        (_at(11, 1, 7), _at(11, 2, 8)),  # a day of 25 hours
        (_at(3, 8, 8), _at(3, 9, 7)),  # and one of 23
        (_at(12, 31, 23), _at(12, 31, 23) + timedelta(hours=9)),
    ],
)
def test_a_day_ends_at_midnight_pacific_time(at: datetime, resets_at: datetime) -> None:
    assert find_reset(at) == resets_at


def test_a_day_takes_no_more_than_its_budget(lake: Lake) -> None:
    watch = Watch(_at(11, 20, 12))
    quota = Quota(lake, "r1", units_per_day=2, clock=watch)
    assert quota.take("videos") == watch.now
    quota.take("comments")
    with pytest.raises(QuotaSpent, match=r"the budget of 2 units a day is used up \(2 used\); it is SCORELAKE_YOUTUBE"):
        quota.take("videos")
    assert quota.calls == {"videos": 1, "comments": 1}
    watch.now = _at(11, 21, 8)
    quota.take("videos")
    assert quota.read_spent(quota.resets_at) == 1


def test_all_runs_of_a_day_share_its_budget(lake: Lake) -> None:
    first = Quota(lake, "r1", units_per_day=3, clock=Watch(_at(11, 20, 12)))
    first.take("videos")
    first.take("videos")
    _write(lake, first)
    _write(lake, first)
    first.take("comments")
    _write(lake, first)
    with read_lake(lake) as connection:
        assert connection.execute("select * from ops.quota order by method").fetchall() == [
            ("r1", _at(11, 21, 8), "comments", 1, 1),
            ("r1", _at(11, 21, 8), "videos", 2, 2),
        ]
    with pytest.raises(QuotaSpent, match=r"\(3 used\)"):
        Quota(lake, "r2", units_per_day=3, clock=Watch(_at(11, 21, 7, 59))).take("videos")
    Quota(lake, "r2", units_per_day=3, clock=Watch(_at(11, 21, 8))).take("videos")
