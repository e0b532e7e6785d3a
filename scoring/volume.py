"""Whether as many comments come as usual, and as few of their rows are refused: counts of days beside their history.

Kernel: what is usual on a day, by those before it. Step: the counts of the last weeks, read from the lake.

The square roots of the counts follow weekday and trend (least squares); the bounds are those of the prediction interval
of one more day. The root makes the spread of counts even (Bartlett, *Supplement to the JRSS* 3, 1936): 1/2 if they are
of Poisson, more if comments come in bursts, which the days before tell. Days that were odd themselves are left out of
what is usual, as in Farrington and others, "A statistical algorithm for the early detection of outbreaks of infectious
disease" (*JRSS A* 159, 1996), of which this is the plain form.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from scoring.checks import REFUSED_ROWS, VOLUME, Check, Usual

if TYPE_CHECKING:
    import duckdb

Floats: TypeAlias = NDArray[np.float64]

WEEK: Final = 7
HISTORY_DAYS: Final = 8 * WEEK
FEWEST_DAYS: Final = 3 * WEEK
_POISSON_SPREAD: Final = 0.5  # of the root of a count
_MOST: Final = 0.75  # of the days
_ODD: Final = 3.0  # deviations beyond which a day of the history is left out
_NORMAL_MAD: Final = 1.4826  # deviations of a normal distribution per median absolute deviation
# A fifth less, or half more, matters to nobody.
_SMALL_LOSS, _SMALL_GAIN = 0.8, 1.5
_FEW_REFUSED: Final = 20.0
_DAY: Final = timedelta(days=1)
# Hourly runs have brought by then what was seen.
_LAG: Final = timedelta(hours=2)
_COUNTS: Final = Path(__file__).with_name("daily_counts.sql")


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """Counts of days (UTC), the oldest first; the last one, which ends at `ends_at`, is to be judged."""

    ends_at: datetime
    comments: Floats
    refused: Floats


def find_usual(history: Floats, *, low_rate: float, high_rate: float) -> Usual | None:
    """What is usual on the day after some days, the oldest first; None if they are fewer than three weeks.

    Parameters
    ----------
    low_rate, high_rate
        Share of quiet days that are below and above the bounds; 0 for no bound.

    Examples
    --------
    >>> usual = find_usual(np.tile([100.0, 100, 100, 100, 100, 300, 300], 8), low_rate=0.005, high_rate=0.005)
    >>> round(usual.expected or 0), round(usual.low or 0), round(usual.high or 0)
    (100, 73, 131)
    """
    days = len(history)
    if days < FEWEST_DAYS:
        return None
    roots, rows = np.sqrt(history), _describe(days + 1)
    known, newest = rows[:-1], rows[-1]
    kept = _leave_out_odd(roots, known)
    freedom = int(kept.sum()) - rows.shape[1]
    # The pseudo-inverse also of a history from which all days of one weekday are gone.
    inverse = np.linalg.pinv(known[kept].T @ known[kept])
    weights = inverse @ known[kept].T @ roots[kept]
    residuals = roots[kept] - known[kept] @ weights
    spread = max(float(np.sqrt(residuals @ residuals / max(freedom, 1))), _POISSON_SPREAD)
    root = max(float(newest @ weights), 0.0)
    deviation = spread * float(np.sqrt(1 + newest @ inverse @ newest))
    below, above = (
        deviation * float(student.ppf(1 - rate, max(freedom, 1))) if rate else None for rate in (low_rate, high_rate)
    )
    return Usual(
        root**2,
        None if below is None else max(root - below, 0.0) ** 2,
        None if above is None else (root + above) ** 2,
    )


def _describe(days: int) -> Floats:
    """A row per day: its weekday, and how far the trend has come."""
    numbers = np.arange(days)
    return np.column_stack([np.eye(WEEK)[numbers % WEEK], (numbers - days + 1) / WEEK])


def _leave_out_odd(roots: Floats, rows: Floats) -> NDArray[np.bool_]:
    """The days that are not odd beside the median of their weekday."""
    weekdays = rows[:, :WEEK].argmax(axis=1)
    medians = np.array([np.median(roots[weekdays == one]) for one in range(WEEK)])
    residuals = roots - medians[weekdays]
    deviation = max(float(np.median(np.abs(residuals))) * _NORMAL_MAD, _POISSON_SPREAD)
    kept = np.abs(residuals) <= _ODD * deviation
    # What most days are cannot be odd: then the level has changed, and all of it is history.
    return kept if kept.mean() >= _MOST else np.ones(len(roots), dtype=bool)


def check_volume(counts: DailyCounts, rate: float) -> tuple[Check, Check]:
    """Judge the last day: its comments and its refused rows; of the rate, most goes to comments that are missing.

    A lake's first days are no history: what is before the first comment is left out.
    """
    begun = np.flatnonzero(counts.comments + counts.refused)
    first = int(begun[0]) if len(begun) else len(counts.comments) - 1
    comments, refused = counts.comments[first:], counts.refused[first:]
    usual = find_usual(comments[:-1], low_rate=0.6 * rate, high_rate=0.2 * rate)
    worse = find_usual(refused[:-1], low_rate=0, high_rate=0.2 * rate)
    window = counts.ends_at - _DAY, counts.ends_at
    return (
        Check(VOLUME, None, *window, float(comments[-1]), usual and _spare_small(usual, 0)),
        Check(REFUSED_ROWS, None, *window, float(refused[-1]), worse and _spare_small(worse, _FEW_REFUSED)),
    )


def _spare_small(usual: Usual, few: float) -> Usual:
    """Widen the bounds to differences that matter."""
    expected = usual.expected or 0.0
    low = None if usual.low is None else min(usual.low, _SMALL_LOSS * expected)
    high = None if usual.high is None else max(usual.high, _SMALL_GAIN * expected, few)
    return Usual(expected, low, high)


def read_daily_counts(connection: "duckdb.DuckDBPyConnection", now: datetime) -> DailyCounts:
    """Read the counts of the last weeks by whole days (UTC), so that whoever looks twice a day sees one window."""
    ends_at = (now - _LAG).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = HISTORY_DAYS + 1
    rows = connection.execute(
        _COUNTS.read_text(encoding="utf-8"), {"since": ends_at - days * _DAY, "ends_at": ends_at}
    ).fetchall()
    comments, refused = np.zeros(days), np.zeros(days)
    for days_before, comment_count, refused_count in rows:
        comments[-1 - days_before] = comment_count
        refused[-1 - days_before] = refused_count
    return DailyCounts(ends_at, comments, refused)
