"""Counts of days beside their history: what is usual on a weekday, and what is odd."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from feature_repo.lake import Lake, read_lake, write_lake
from scoring.volume import HISTORY_DAYS, DailyCounts, check_volume, find_usual, read_daily_counts

END = datetime(2026, 10, 12, tzinfo=UTC)  # the last day is a Sunday
Counts = NDArray[np.float64]


def draw_counts(days: int = HISTORY_DAYS + 1, *, growth: float = 1.0) -> Counts:
    """A quiet history: a weekly rhythm with busy weekends at its end, a trend, and the noise of Poisson."""
    number = np.arange(days)[::-1]
    mean = (300.0 + 150 * (number % 7 < 2)) * growth ** (-number / 7)
    return np.random.default_rng(5).poisson(mean).astype(float)


def judge(comments: Counts, refused: Counts | None = None) -> tuple[bool, bool]:
    nothing = np.zeros(len(comments))
    volume, rows = check_volume(DailyCounts(END, comments, nothing if refused is None else refused), 0.005)
    return volume.is_violated, rows.is_violated


@pytest.mark.parametrize(
    ("factor", "is_odd"), [(1.0, False), (0.85, False), (0.7, True), (0.0, True), (1.4, False), (1.7, True)]
)
def test_a_sunday_is_compared_with_sundays(*, factor: float, is_odd: bool) -> None:
    comments = draw_counts()
    comments[-1] = 450 * factor
    assert judge(comments) == (is_odd, False)


def test_what_is_usual_on_a_sunday_is_odd_on_a_monday() -> None:
    comments = draw_counts()
    comments[-1] = 500
    assert judge(comments) == (False, False)
    assert judge(np.append(comments[1:], 500.0)) == (True, False)


def test_a_trend_is_followed_and_an_odd_day_of_the_past_changes_little() -> None:
    growing = draw_counts(growth=1.05)
    assert judge(growing) == (False, False)
    usual = find_usual(growing[:-1], low_rate=0.003, high_rate=0.001)
    assert usual is not None
    assert usual.expected == pytest.approx(450, rel=0.1)
    bursting = growing.copy()
    bursting[-20] *= 40
    changed = find_usual(bursting[:-1], low_rate=0.003, high_rate=0.001)
    assert changed is not None
    assert changed.expected == pytest.approx(usual.expected, rel=0.05)


def test_three_weeks_are_needed_and_days_before_the_first_comment_are_none() -> None:
    comments = draw_counts()
    comments[-1] = 0
    young = comments.copy()
    young[:-21] = 0
    assert [judge(some) for some in (comments, young)] == [(True, False), (False, False)]
    assert judge(np.zeros(HISTORY_DAYS + 1)) == (False, False)


def test_more_refused_rows_are_odd_and_fewer_are_not() -> None:
    comments, refused = draw_counts(), np.full(HISTORY_DAYS + 1, 30.0)
    found = []
    for last in (0, 30, 120):
        refused[-1] = last
        found.append(judge(comments, refused))
    assert found == [(False, False), (False, False), (False, True)]


def test_days_are_whole_and_counted_back_from_midnight(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        for number, at in enumerate(
            ["2026-10-12 00:00:00", "2026-10-11 23:59:59", "2026-10-11 00:00:00", "2026-10-10 23:59:00"]
        ):
            connection.execute(
                "insert into raw.comments by name select $id as comment_id, 't' as text_id, 'x' as text, "
                "cast($at as timestamptz) as observed_at, $imputed as is_observed_at_imputed, 's' as source, "
                "'b' as batch_id, 1 as ingest_seq",
                {"id": str(number), "at": f"{at}+00", "imputed": False},
            )
        connection.execute(
            "insert into ops.runs by name select 'r' as run_id, 'ingest' as kind, timestamptz '2026-10-10 05:00:00+00' "
            "as started_at, timestamptz '2026-10-10 05:00:00+00' as ended_at, 'done' as outcome, 7 as rows_quarantined"
        )
    with read_lake(lake) as connection:
        found = read_daily_counts(connection, END + timedelta(hours=5))
        early = read_daily_counts(connection, END + timedelta(hours=1))
    assert (found.ends_at, found.comments[-3:].tolist(), found.refused[-3:].tolist()) == (END, [0, 1, 2], [0, 7, 0])
    assert (early.ends_at, early.comments[-2:].tolist()) == (END - timedelta(days=1), [0, 1])
