"""What is measured on judged rows, and how sure it is: metrics as functions of sums over groups.

Every metric here is computed from sums over rows (the tally), so a bootstrap resample of whole groups is a
weighted sum of the groups' tallies, and a thousand of them are one matrix product. Rows of a group are alike,
hence groups are resampled and not rows: Field and Welsh, *Bootstrapping clustered data*, JRSS B 69, 2007.

Which rows are judged, and what follows from the figures, is said elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.model import Floats

BINS: Final = 15  # of the reliability curve: as many as in Guo et al. (2017)
RESAMPLES: Final = 1000
SEED: Final = 20_260_101
_BLOCK: Final = 4_000_000  # weights held at a time, 32 MB

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval: the 2.5 and 97.5 percentiles over resampled groups."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures by name, on so many rows in so many groups.

    accuracy, macro_f1 (mean over the classes that occur among labels or predictions), precision_, recall_ and
    f1_<class> (0 where undefined): 0 to 1. log_loss: nats. brier: 0 to 2. ece: 0 to 1.
    """

    rows: int
    groups: int
    values: Mapping[str, Estimate]


def tally_groups(labels: Codes, probabilities: Floats, groups: Codes, group_count: int) -> Floats:
    """Sums over the rows of each group, shape (groups, width); `compute_metrics` knows what stands where.

    Parameters
    ----------
    labels, probabilities, groups
        Class codes (rows,), probabilities (rows, classes), group codes from 0 (rows,).
    """
    rows, classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(rows), predicted]
    is_right = predicted == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)

    def add(column: Codes, width: int, weights: Floats | None = None) -> Floats:
        sums = np.bincount(groups * width + column, weights=weights, minlength=group_count * width)
        return sums.reshape(group_count, width).astype(np.float64)

    none = np.zeros(rows, dtype=np.int64)
    return np.hstack(
        [
            add(labels * classes + predicted, classes * classes),
            add(none, 1, compute_log_loss(labels, probabilities)),
            add(none, 1, _compute_brier(labels, probabilities)),
            add(bins, BINS),
            add(bins, BINS, confidence),
            add(bins, BINS, is_right.astype(np.float64)),
        ]
    )


def compute_metrics(sums: Floats, classes: tuple[str, ...]) -> dict[str, Floats]:
    """Figures by name from sums of tallies, shape (..., width) → (...).

    accuracy, precision, recall and F1 as usual. Brier score: mean squared distance between probabilities and the
    label (Brier, Monthly Weather Review 78, 1950). ECE: mean over bins of |accuracy - confidence|, weighted by
    rows, bins of equal width over the confidence (Guo et al., *On Calibration of Modern Neural Networks*, ICML
    2017, equation 3).
    """
    count = len(classes)
    confusion = sums[..., : count * count].reshape(*sums.shape[:-1], count, count)
    log_loss, brier, curve = sums[..., count * count], sums[..., count * count + 1], sums[..., count * count + 2 :]
    rows = confusion.sum(axis=(-2, -1))
    figures = compute_confusion_metrics(confusion, classes)
    probabilistic = {
        "log_loss": _divide(log_loss, rows),
        "brier": _divide(brier, rows),
        "ece": _divide(np.abs(curve[..., BINS : 2 * BINS] - curve[..., 2 * BINS :]).sum(axis=-1), rows),
    }
    overall = {name: figures.pop(name) for name in ("accuracy", "macro_f1")}
    return overall | probabilistic | figures


def compute_confusion_metrics(confusion: Floats, classes: tuple[str, ...]) -> dict[str, Floats]:
    """Figures that follow from rows by label and predicted class, shape (..., classes, classes) → (...)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    labelled, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    f1 = _divide(2 * hits, labelled + predicted)
    occurring = (labelled + predicted > 0).sum(axis=-1)
    figures = {
        "accuracy": _divide(hits.sum(axis=-1), confusion.sum(axis=(-2, -1))),
        "macro_f1": _divide(f1.sum(axis=-1), occurring),
    }
    for code, name in enumerate(classes):
        figures[f"precision_{name}"] = _divide(hits, predicted)[..., code]
        figures[f"recall_{name}"] = _divide(hits, labelled)[..., code]
        figures[f"f1_{name}"] = f1[..., code]
    return figures


def resample_groups(tally: Floats, *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Sums of tallies over groups drawn with replacement, shape (resamples, width).

    Two tallies over the same groups are resampled alike by the same seed: that makes a comparison paired.
    """
    rng = np.random.default_rng(seed)
    groups = len(tally)
    block = max(1, _BLOCK // groups)
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.vstack([_count_draws(rng, groups, size) @ tally for size in sizes])


def estimate_metrics(tally: Floats, classes: tuple[str, ...]) -> Metrics:
    """Figures with their intervals from the tallies of all groups; groups without rows are not resampled."""
    tally = tally[_count_rows(tally, classes) > 0]
    total = tally.sum(axis=0)
    values, drawn = compute_metrics(total, classes), compute_metrics(resample_groups(tally), classes)
    return Metrics(
        rows=int(_count_rows(total, classes)),
        groups=len(tally),
        values={name: build_estimate(float(value), drawn[name]) for name, value in values.items()},
    )


def build_estimate(value: float, drawn: Floats) -> Estimate:
    """Build the percentile interval of a figure from its resampled values."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def compute_log_loss(labels: Codes, probabilities: Floats) -> Floats:
    """Negative logarithm of the label's probability for each row, in nats; a probability of 0 counts as 1e-15."""
    losses: Floats = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-15))
    return losses


def _count_draws(rng: np.random.Generator, groups: int, resamples: int) -> Floats:
    """How often each group is drawn, (resamples, groups): a multinomial draw, at a seventh of NumPy's time for it."""
    drawn = rng.integers(0, groups, (resamples, groups)) + groups * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * groups)
    return counts.reshape(resamples, groups).astype(np.float64)


def _compute_brier(labels: Codes, probabilities: Floats) -> Floats:
    distances: Floats = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)
    return distances


def _count_rows(tally: Floats, classes: tuple[str, ...]) -> Floats:
    rows: Floats = tally[..., : len(classes) ** 2].sum(axis=-1)
    return rows


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    quotient: Floats = np.divide(
        numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0
    )
    return quotient
