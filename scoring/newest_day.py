"""Whether the newest day is unlike the days before it: what breaks at once is seen at once.

Permuted days (`thresholds`) find small differences of a whole window. But days dealt by chance hold some of the odd
ones in every deal, so that a few odd days of seven are never rare among deals, however odd they are: a column that is
null from one day to the next, or a version that says one thing of everything, would go on for most of a week. So the
newest day is looked at by itself, too: of each column its mean, its share of nulls or its shares of classes, beside
those of the days of both windows before it.

Usual is the mean of the weekday among those days, and how far a day may lie off is the prediction interval of Student's
t, at a rate that is shared among all that is looked at (Bonferroni). Days far off their weekday's median (Hampel,
*JASA* 69, 1974) are no history, unless they are a quarter of all: then the level has changed, and all of it is. So a
change that stays is odd for a week or so, and by then the window knows it.

Pure.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

WEEK: Final = 7
FEWEST_DAYS: Final = 3 * WEEK
FEWEST_ROWS: Final = 50  # with which a day is known
# A small effect: in deviations of a column, and as a share of the comments.
SMALLEST_MEAN, SMALLEST_SHARE = 0.2, 0.1
_ODD: Final = 8.0  # deviations beyond which a day is no history; at three or five, quiet days are left out, too
_NORMAL_MAD: Final = 1.4826  # deviations of a normal distribution per median absolute deviation
_MOST: Final = 0.75  # of the days


def judge_columns(rows: "pd.DataFrame", days: Days, rate: float) -> Iterator[tuple[str, float, float]]:
    """Of each column how far its oddest quantity lies off on the newest day, and from where on that is odd.

    Parameters
    ----------
    rows
        Comments of both windows; numbers or strings, nulls among them.
    days
        Of each comment how many days it lies before the end; 0 is the newest day.
    rate
        Share of quiet days on which any column at all may be odd.
    """
    measured = [(str(name), *one) for name in rows for one in _measure(rows[name], days)]
    worst: dict[str, tuple[float, float]] = {}
    for name, by_day, smallest in measured:
        found = judge_newest(by_day, rate / len(measured), smallest)
        if found is not None and (name not in worst or found[0] / found[1] > worst[name][0] / worst[name][1]):
            worst[name] = found
    for name, (off, threshold) in worst.items():
        yield name, off, threshold


def _measure(values: "pd.Series[float]", days: Days) -> Iterator[tuple[Floats, float]]:
    """Each quantity of a column by day, with the smallest difference that matters."""
    is_known = values.notna().to_numpy()
    known, its_days, count = values.to_numpy()[is_known], days[is_known], int(days.max()) + 1
    if not is_known.all():
        yield _average((~is_known).astype(np.float64), days, count), SMALLEST_SHARE
    if values.dtype == object:
        for one in sorted({*known}):
            yield _average((known == one).astype(np.float64), its_days, count), SMALLEST_SHARE
    elif len(known) and (deviation := float(np.std(known))) > 0:
        yield _average(known.astype(np.float64), its_days, count) / deviation, SMALLEST_MEAN


def _average(values: Floats, days: Days, count: int) -> Floats:
    """The mean of each day, the newest first; not a number where there are too few rows."""
    rows, sums = np.bincount(days, minlength=count), np.bincount(days, weights=values, minlength=count)
    return np.where(rows >= FEWEST_ROWS, sums / np.maximum(rows, 1), np.nan)


def judge_newest(by_day: Floats, rate: float, smallest: float = 0.0) -> tuple[float, float] | None:
    """How far the newest day lies off what is usual, and from where on that is odd; None if too little is known.

    Parameters
    ----------
    by_day
        A value per day, the newest first; not a number where it is not known.
    rate
        Share of quiet days that may be odd, on both sides together.
    smallest
        No smaller difference is odd.

    Examples
    --------
    >>> weekdays = np.tile([0.4, 0.5, 0.5, 0.5, 0.5, 0.6, 0.6], 5)
    >>> by_day = weekdays + np.resize([0.01, -0.01, 0.02, -0.02], 35)
    >>> by_day[0] = 0.9
    >>> off, threshold = judge_newest(by_day, 0.001)
    >>> round(off, 2), round(threshold, 2)
    (0.5, 0.07)
    """
    weekdays = np.arange(len(by_day)) % WEEK
    before = np.isfinite(by_day)
    is_known, before[0] = bool(before[0]), False
    if not is_known or before.sum() < FEWEST_DAYS:
        return None
    before = _leave_out_odd(by_day, weekdays, before)
    same = before & (weekdays == 0)
    if not same.any():
        return None
    means = _sum_up(by_day, weekdays, before, np.mean)
    residuals = (by_day - means[weekdays])[before]
    freedom = max(int(before.sum() - np.isfinite(means).sum()), 1)
    deviation = float(np.sqrt(residuals @ residuals / freedom * (1 + 1 / same.sum())))
    reach = float(student.ppf(1 - rate / 2, freedom)) * deviation
    return abs(float(by_day[0] - means[0])), max(reach, smallest, np.finfo(float).eps)


def _leave_out_odd(by_day: Floats, weekdays: Days, before: Mask) -> Mask:
    """The days before that are not odd beside the median of their weekday."""
    residuals = np.abs(by_day - _sum_up(by_day, weekdays, before, np.median)[weekdays])
    deviation = float(np.median(residuals[before])) * _NORMAL_MAD
    kept = before & (residuals <= _ODD * deviation)
    # What many days are cannot be odd: then the level has changed, and all of it is history.
    return kept if kept.sum() >= _MOST * before.sum() else before


def _sum_up(by_day: Floats, weekdays: Days, some: Mask, how: Callable[[Floats], np.floating[Any]]) -> Floats:
    """One figure for each weekday; not a number where there is no day."""
    of = [by_day[some & (weekdays == one)] for one in range(WEEK)]
    return np.array([how(one) if len(one) else np.nan for one in of], dtype=np.float64)
