"""The abstain band: how many rows a model decides when it may leave out the doubtful ones, and how well.

A row is decided where the probability of its predicted class reaches a threshold. Which threshold a model works with
is said in its spec; the curve over all thresholds shows what another one would buy (El-Yaniv and Wiener, *On the
Foundations of Noise-free Selective Classification*, JMLR 11, 2010).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from training.metrics import Estimate, build_estimate, compute_confusion_metrics, resample_groups
from training.model import Floats

if TYPE_CHECKING:
    from training.evaluate import JudgedRows

THRESHOLDS: Final = (0.0, *(step / 20 for step in range(7, 20)), 0.975, 0.99)
_MIN_LABEL_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """What is decided at a threshold of confidence.

    Parameters
    ----------
    rows
        Decided rows.
    share
        Their share of all rows.
    accuracy, macro_f1
        On the decided rows; None if there are none, and no macro-F1 if fewer than ten of a label are decided: a mean
        over classes that hardly occur says nothing.
    """

    threshold: float
    rows: int
    share: Estimate
    accuracy: Estimate | None
    macro_f1: Estimate | None


def measure_coverage(
    rows: "JudgedRows", probabilities: Floats, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[CoveragePoint, ...]:
    """Measure what is decided at each threshold, with 95 % intervals from resampled groups."""
    tally = _tally_decided(rows, probabilities, (0.0, *thresholds))
    drawn = resample_groups(tally.reshape(len(tally), -1)).reshape(-1, *tally.shape[1:])
    total, drawn_rows = tally.sum(axis=0), drawn[:, 0].sum(axis=(1, 2))
    points = []
    for place, threshold in enumerate(thresholds, start=1):
        share = build_estimate(
            float(total[place].sum()) / len(rows.labels), drawn[:, place].sum(axis=(1, 2)) / drawn_rows
        )
        points.append(_build_point(threshold, share, total[place], drawn[:, place], rows.classes))
    return tuple(points)


def _tally_decided(rows: "JudgedRows", probabilities: Floats, thresholds: Sequence[float]) -> Floats:
    """Decided rows by group, threshold, label and predicted class."""
    count = len(rows.classes)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    cells = (rows.groups * count + rows.labels) * count + predicted
    size = rows.group_count * count * count
    tallies = [np.bincount(cells[confidence >= one], minlength=size) for one in thresholds]
    shape = (rows.group_count, count, count)
    return np.stack([one.reshape(shape) for one in tallies], axis=1).astype(np.float64)


def _build_point(
    threshold: float, share: Estimate, confusion: Floats, drawn: Floats, classes: tuple[str, ...]
) -> CoveragePoint:
    if not confusion.any():
        return CoveragePoint(threshold, 0, share, None, None)
    values = compute_confusion_metrics(confusion, classes)
    # A resample in which nothing is decided says nothing of how well.
    resampled = compute_confusion_metrics(drawn[drawn.any(axis=(1, 2))], classes)
    accuracy, macro_f1 = (build_estimate(float(values[name]), resampled[name]) for name in ("accuracy", "macro_f1"))
    has_all_labels = confusion.sum(axis=1).min() >= _MIN_LABEL_ROWS
    return CoveragePoint(threshold, int(confusion.sum()), share, accuracy, macro_f1 if has_all_labels else None)
