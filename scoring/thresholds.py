"""From which distance on a window of comments differs from its history: thresholds of permuted days.

The days of the current window and of its reference are dealt anew many times: some stand for the window, the others
for the reference. Of every deal the distances of all columns are taken, and from the largest of them come the
thresholds, so that in a share of quiet windows that is chosen any column at all exceeds its own: the maximum statistic
of Westfall and Young (*Resampling-Based Multiple Testing*, 1993). Days are dealt whole, for comments of one day are
alike, and in windows of whole weeks only among the same weekdays, for weeks have a rhythm: permutation within
exchangeability blocks (Winkler and others, "Multi-level block permutation", *NeuroImage* 123, 2015).

The window itself is dealt, too. That makes the share exact however few days there are, as long as quiet days may change
places; thresholds of the reference alone are too low whenever its days are alike by chance, which of four weeks is
often. What drifts raises its own threshold by that, to little more than half of its distance.

Pure. The distances are those that `drift` has Evidently compute; here they are taken of all deals at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, comb, prod
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Deals: TypeAlias = NDArray[np.float64]  # a row per deal, a column per day; 1 if the day stands for the current window

WEEK: Final = 7
DEALS: Final = 999
_FEWEST_WINDOWS: Final = 3  # in the reference: with fewer, what drifts is in too many deals
_SEED: Final = 20260907
_AT_ONCE: Final = 100
_ROUNDING: Final = 1 + 1e-9  # the same distance, computed otherwise, does not exceed it
_SMALLEST_DEVIATION: Final = 0.001  # Evidently's own bound of what it divides by


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How days may be dealt: the length of the current window, and of the reference before it, in days of 24 hours.

    Days are counted backwards: the newest one, of the window, is 0.
    """

    window_days: int
    reference_days: int

    @property
    def strata(self) -> NDArray[np.int64]:
        """Of each day, among which days it may be dealt: those of its weekday, or all."""
        days = np.arange(self.window_days + self.reference_days)
        return days % WEEK if self.window_days % WEEK == 0 else np.zeros_like(days)

    def count_deals(self) -> int:
        """How many deals differ.

        >>> Rhythm(7, 28).count_deals(), Rhythm(4, 16).count_deals(), Rhythm(7, 0).count_deals()
        (78125, 4845, 1)
        """
        strata = self.strata
        drawn = self._count_drawn(strata)
        return prod(comb(int((strata == one).sum()), drawn) for one in np.unique(strata))

    def can_tell(self, rate: float) -> bool:
        """Whether there are deals enough to tell a share of so few, and days enough not to drown what drifts."""
        return self.count_deals() >= 2 / rate and self.reference_days >= _FEWEST_WINDOWS * self.window_days

    def deal(self, deals: int = DEALS) -> Deals:
        """Deal the days so many times, after the deal that is real; the same ones in every process."""
        rng, strata = np.random.default_rng(_SEED), self.strata
        dealt = np.zeros((deals + 1, len(strata)))
        dealt[0, : self.window_days] = 1
        for stratum in np.unique(strata):
            days = np.flatnonzero(strata == stratum)
            order = rng.permuted(np.tile(days, (deals, 1)), axis=1)[:, : self._count_drawn(strata)]
            np.put_along_axis(dealt[1:], order, 1, axis=1)
        return dealt

    def _count_drawn(self, strata: NDArray[np.int64]) -> int:
        return self.window_days // len(np.unique(strata))


def measure_deals(values: "pd.Series[Any]", days: NDArray[np.int64], deals: Deals, method: str) -> Floats:
    """The distance of a column between both parts of each deal.

    Parameters
    ----------
    values
        Numbers or strings, one per comment of both windows; nulls are left out, but for the share of nulls.
    days
        Of each comment its day, an index of the columns of `deals`.
    method
        wasserstein (over the reference's deviation), jensenshannon, or null_share.
    """
    if method == "null_share":
        shares = [_split(_count(days[mask], deals), deals) for mask in (values.isna().to_numpy(), slice(None))]
        (current_nulls, nulls), (current_rows, rows) = shares
        return np.abs(current_nulls / np.maximum(current_rows, 1) - nulls / np.maximum(rows, 1))
    is_known = values.notna().to_numpy()
    known, its_days = values.to_numpy()[is_known], days[is_known]
    if method == "wasserstein":
        return _measure_wasserstein(known.astype(np.float64), its_days, deals)
    return _measure_jensenshannon(known, its_days, deals)


def set_thresholds(distances: Mapping[str, Floats], rate: float) -> dict[str, float]:
    """Thresholds by column that in a share `rate` of the deals any column exceeds, and in no more.

    The real deal is one of them (Phipson and Smyth, "Permutation p-values should never be zero", *Statistical
    Applications in Genetics and Molecular Biology* 9, 2010). Columns are made comparable by mean and deviation.

    >>> some = set_thresholds({"a": np.arange(100.0), "b": np.arange(100.0) / 10}, 0.05)
    >>> [round(value, 3) for value in some.values()]
    [94.0, 9.4]
    """
    if not distances:
        return {}
    found = np.column_stack(list(distances.values()))
    centre, spread = found.mean(axis=0), np.maximum(found.std(axis=0), np.finfo(float).eps)
    largest = np.sort(((found - centre) / spread).max(axis=1))
    place = ceil((1 - rate) * len(largest)) - 1
    limits = (centre + largest[place] * spread) * _ROUNDING
    return dict(zip(distances, limits.tolist(), strict=True))


def _count(days: NDArray[np.int64], deals: Deals) -> Floats:
    return np.bincount(days, minlength=deals.shape[1]).astype(np.float64)


def _split(by_day: Floats, deals: Deals) -> tuple[Floats, Floats]:
    """Sums over the days of the current window and of its reference; a row per deal."""
    current = deals @ by_day
    return current, by_day.sum(axis=0) - current


def _measure_wasserstein(values: Floats, days: NDArray[np.int64], deals: Deals) -> Floats:
    """The area between two distribution functions (Vallender, *Theory of Probability* 18, 1974) over a deviation."""
    points, places = np.unique(values, return_inverse=True)
    counts = np.zeros((deals.shape[1], len(points)))
    np.add.at(counts, (days, places), 1)
    current_rows, reference_rows = (np.maximum(one, 1) for one in _split(counts.sum(axis=1), deals))
    below, widths = counts.cumsum(axis=1)[:, :-1], np.diff(points)
    area = np.empty(len(deals))
    for start in range(0, len(deals), _AT_ONCE):  # a row of thousands of points per deal: some at a time
        some = slice(start, start + _AT_ONCE)
        current, reference = _split(below, deals[some])
        apart = current / current_rows[some, None] - reference / reference_rows[some, None]
        area[some] = np.abs(apart) @ widths
    sums, squares = (_split(counts @ points**power, deals)[1] / reference_rows for power in (1, 2))
    deviation = np.sqrt(np.maximum(squares - sums**2, 0))
    return np.asarray(area / np.maximum(deviation, _SMALLEST_DEVIATION), dtype=np.float64)


def _measure_jensenshannon(values: NDArray[Any], days: NDArray[np.int64], deals: Deals) -> Floats:
    classes, places = np.unique(values, return_inverse=True)
    counts = np.zeros((deals.shape[1], len(classes)))
    np.add.at(counts, (days, places), 1)
    shares = [part / np.maximum(part.sum(axis=1, keepdims=True), 1) for part in _split(counts, deals)]
    with np.errstate(invalid="ignore"):  # the root of a divergence that is rounded below 0
        return np.nan_to_num(np.asarray(jensenshannon(*shares, axis=1), dtype=np.float64))


def list_days(observed: NDArray[np.datetime64], end: np.datetime64) -> NDArray[np.int64]:
    """Of each instant, how many whole days it lies before the end."""
    return ((end - observed - np.timedelta64(1, "us")) // np.timedelta64(1, "D")).astype(np.int64)


def measure_columns(
    rows: "pd.DataFrame", days: NDArray[np.int64], methods: Mapping[str, tuple[str, str]], deals: Deals
) -> Iterator[tuple[str, Floats]]:
    """The distances of several columns, each a name with its column and method."""
    for name, (column, method) in methods.items():
        yield name, measure_deals(rows[column], days, deals, method)
