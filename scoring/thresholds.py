"""From which distance on a window of comments differs from its history: thresholds of permuted history.

The days of the reference are dealt anew many times: some stand for the current window, the others for its reference.
Of every deal the distances of all columns are taken, and from the largest of them come the thresholds, so that in a
share of quiet windows that is chosen any column at all exceeds its own: the maximum statistic of Westfall and Young
(*Resampling-Based Multiple Testing*, 1993). Days are dealt whole, for comments of one day are alike, and in windows of
whole weeks only among the same weekdays, for weeks have a rhythm: permutation within exchangeability blocks (Winkler
and others, "Multi-level block permutation", *NeuroImage* 123, 2015). The current window is not among them, for what
drifts would raise its own thresholds.

Pure. The distances are those that `drift` has Evidently compute; here they are taken of thousands of deals at once.
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
_SEED: Final = 20260907
_FINEST: Final = 1_000  # points of a distribution function
_SMALLEST_DEVIATION: Final = 0.001  # Evidently's own bound of what it divides by


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How days may be dealt: the length of the current window, and of the reference before it, in days of 24 hours."""

    window_days: int
    reference_days: int

    @property
    def strata(self) -> NDArray[np.int64]:
        """Of each day of the reference, among which days it may be dealt: those of its weekday, or all."""
        days = np.arange(self.reference_days)
        return days % WEEK if self.window_days % WEEK == 0 else np.zeros_like(days)

    @property
    def drawn_per_stratum(self) -> int:
        """How many days of each stratum stand for the current window."""
        return self.window_days // WEEK if self.window_days % WEEK == 0 else self.window_days

    def count_deals(self) -> int:
        """How many deals differ; 0 if there are too few days.

        >>> Rhythm(7, 28).count_deals(), Rhythm(4, 16).count_deals(), Rhythm(7, 6).count_deals()
        (16384, 1820, 0)
        """
        strata = WEEK if self.window_days % WEEK == 0 else 1
        sizes = [int((self.strata == one).sum()) for one in range(strata)]
        return prod(comb(size, self.drawn_per_stratum) if size > self.drawn_per_stratum else 0 for size in sizes)

    def can_tell(self, rate: float) -> bool:
        """Whether there are deals enough to tell a share of so few; with two halves each deal has a mirror image."""
        return self.count_deals() >= 2 / rate

    def deal(self, deals: int = DEALS) -> Deals:
        """Deal the days of the reference so many times, the same ones in every process."""
        rng, strata = np.random.default_rng(_SEED), self.strata
        dealt = np.zeros((deals, self.reference_days))
        for stratum in np.unique(strata):
            days = np.flatnonzero(strata == stratum)
            order = rng.permuted(np.tile(days, (deals, 1)), axis=1)[:, : self.drawn_per_stratum]
            np.put_along_axis(dealt, order, 1, axis=1)
        return dealt


def measure_deals(values: "pd.Series[Any]", days: NDArray[np.int64], deals: Deals, method: str) -> Floats:
    """The distance of a column between both parts of each deal.

    Parameters
    ----------
    values
        Numbers or strings, one per comment of the reference; nulls are left out, but for the share of nulls.
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

    Columns are made comparable by mean and deviation over the deals.

    >>> some = set_thresholds({"a": np.arange(100.0), "b": np.arange(100.0) / 10}, 0.05)
    >>> [round(value, 3) for value in some.values()]
    [95.0, 9.5]
    """
    if not distances:
        return {}
    found = np.column_stack(list(distances.values()))
    centre, spread = found.mean(axis=0), np.maximum(found.std(axis=0), np.finfo(float).eps)
    largest = np.sort(((found - centre) / spread).max(axis=1))
    # With the window itself there is one deal more (Phipson and Smyth, "Permutation p-values should never be zero",
    # Statistical Applications in Genetics and Molecular Biology 9, 2010).
    place = min(ceil((1 - rate) * (len(largest) + 1)), len(largest)) - 1
    return dict(zip(distances, (centre + largest[place] * spread).tolist(), strict=True))


def _count(days: NDArray[np.int64], deals: Deals) -> Floats:
    return np.bincount(days, minlength=deals.shape[1]).astype(np.float64)


def _split(by_day: Floats, deals: Deals) -> tuple[Floats, Floats]:
    """Sums over the days of the current window and of its reference; a row per deal."""
    current = deals @ by_day
    return current, by_day.sum(axis=0) - current


def _measure_wasserstein(values: Floats, days: NDArray[np.int64], deals: Deals) -> Floats:
    """The area between two distribution functions (Vallender, *Theory of Probability* 18, 1974) over a deviation."""
    points = np.unique(values)
    if len(points) > _FINEST:
        points = np.unique(np.quantile(values, np.linspace(0, 1, _FINEST), method="nearest"))
    places = np.clip(np.searchsorted(points, values, side="left"), 0, len(points) - 1)
    counts = np.zeros((deals.shape[1], len(points)))
    np.add.at(counts, (days, places), 1)
    current, reference = _split(counts, deals)
    rows = [np.maximum(part.sum(axis=1, keepdims=True), 1) for part in (current, reference)]
    area = np.abs(current.cumsum(axis=1) / rows[0] - reference.cumsum(axis=1) / rows[1])[:, :-1] @ np.diff(points)
    mean = reference @ points / rows[1][:, 0]
    deviation = np.sqrt(np.maximum(reference @ points**2 / rows[1][:, 0] - mean**2, 0))
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
    reference: "pd.DataFrame", days: NDArray[np.int64], methods: Mapping[str, tuple[str, str]], deals: Deals
) -> Iterator[tuple[str, Floats]]:
    """The distances of several columns, each a name with its column and method."""
    for name, (column, method) in methods.items():
        yield name, measure_deals(reference[column], days, deals, method)
