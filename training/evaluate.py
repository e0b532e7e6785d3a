"""How good a model is: on which rows it is judged, and everything said about its probabilities there.

Which rows those are follows from the training set's split alone. Fitting is in `fit`; whether the figures suffice
is for the gate to say.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.coverage import CoveragePoint, measure_coverage
from training.metrics import BINS, Codes, Metrics, estimate_metrics, tally_groups
from training.model import Floats
from training.slices import mark_slices

if TYPE_CHECKING:
    from training.ablation import AblationPoint
    from training.behaviour import BehaviourResult
    from training.dataset import TrainingSet
    from training.learning import LearningPoint
    from training.spec import ModelSpec


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRows:
    """The rows on which a model is judged, one entry per row; the same for every version of a model.

    Parameters
    ----------
    positions
        Where the rows stand in the training set.
    groups
        Group codes from 0, for the bootstrap.
    slices
        Which rows belong to each slice of the spec.
    majority
        The most frequent class among the rows learned from: what a model that knows nothing would say.
    """

    classes: tuple[str, ...]
    positions: NDArray[np.intp]
    labels: Codes
    groups: Codes
    slices: Mapping[str, NDArray[np.bool_]]
    majority: int

    @property
    def group_count(self) -> int:
        """Number of groups among the rows."""
        return int(self.groups.max()) + 1

    def tally(self, probabilities: Floats, is_counted: NDArray[np.bool_] | None = None) -> Floats:
        """Sums over the rows of each group, for `compute_metrics`; all rows, or those that count."""
        rows = slice(None) if is_counted is None else is_counted
        return tally_groups(self.labels[rows], probabilities[rows], self.groups[rows], self.group_count)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of the reliability curve; a calibrated model is as often right as it is confident."""

    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures on one model; `to_json` is what the registry and the ledger keep.

    Parameters
    ----------
    design
        How the judged rows were kept apart, in words.
    majority, baseline
        The most frequent class among the rows learned from, and the same figures for always saying it.
    slices
        Figures per slice that has rows.
    confusion
        Rows by label (first index) and predicted class.
    decided
        What is decided at the spec's abstain threshold.
    coverage
        The same over many thresholds.
    later
        A model that learned from the earlier rows only, on later rows of held-out groups; None where there
        are too few of them.
    behaviours
        What the model made of texts written for the purpose; empty if nobody asked.
    learning
        Figures when learning from fewer groups; empty if nobody asked.
    ablation
        Figures when learning from fewer columns; empty if nobody asked.
    """

    design: str
    overall: Metrics
    majority: str
    baseline: Metrics
    slices: Mapping[str, Metrics]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]
    decided: CoveragePoint
    coverage: tuple[CoveragePoint, ...]
    later: Metrics | None
    behaviours: tuple["BehaviourResult", ...] = ()
    learning: tuple["LearningPoint", ...] = ()
    ablation: tuple["AblationPoint", ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Express the evaluation in types that JSON has."""
        return asdict(self)


def choose_judged_rows(training_set: "TrainingSet", spec: "ModelSpec") -> JudgedRows:
    """The held-out rows, or every row where models are judged out of fold."""
    is_judged = np.ones_like(training_set.is_held_out) if spec.is_cross_group else training_set.is_held_out
    learned = training_set.labels if spec.is_cross_group else training_set.labels[~is_judged]
    positions = np.flatnonzero(is_judged)
    return JudgedRows(
        classes=spec.classes,
        positions=positions,
        labels=training_set.labels[positions],
        groups=np.unique(training_set.groups[positions], return_inverse=True)[1].astype(np.int64),
        slices={name: is_in[positions] for name, is_in in mark_slices(training_set, spec).items()},
        majority=int(np.bincount(learned).argmax()),
    )


def evaluate_probabilities(
    rows: JudgedRows, probabilities: Floats, *, design: str, abstain_below: float, later: Metrics | None = None
) -> Evaluation:
    """Measure probabilities (rows, classes) on the judged rows."""
    total = rows.tally(probabilities).sum(axis=0)
    count = len(rows.classes)
    return Evaluation(
        design=design,
        overall=estimate_metrics(rows.tally(probabilities), rows.classes),
        majority=rows.classes[rows.majority],
        baseline=estimate_metrics(rows.tally(build_majority(rows)), rows.classes),
        slices={
            name: estimate_metrics(rows.tally(probabilities, is_in), rows.classes)
            for name, is_in in rows.slices.items()
            if is_in.any()
        },
        confusion=tuple(tuple(int(n) for n in row) for row in total[: count * count].reshape(count, count)),
        reliability=_read_reliability(total[count * count + 2 :]),
        decided=measure_coverage(rows, probabilities, (abstain_below,))[0],
        coverage=measure_coverage(rows, probabilities),
        later=later,
    )


def build_majority(rows: JudgedRows) -> Floats:
    """Probabilities of a model that always says the majority class of the rows learned from."""
    probabilities = np.zeros((len(rows.labels), len(rows.classes)))
    probabilities[:, rows.majority] = 1
    return probabilities


def _read_reliability(curve: Floats) -> tuple[ReliabilityBin, ...]:
    counts, confidence, right = curve.reshape(3, BINS)
    return tuple(
        ReliabilityBin(float(summed / count), float(hits / count), int(count))
        for count, summed, hits in zip(counts, confidence, right, strict=True)
        if count
    )
