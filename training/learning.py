"""The learning curve: what the model is worth when it learns from fewer groups, judged on the same rows.

A curve that still climbs says that more labels would help; one that is flat, that they would not. Settings are those
chosen on the whole training side: only the rows become fewer.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from training.fit import Examples, Fold, deal_folds, fit_model
from training.metrics import Estimate, estimate_metrics
from training.model import Floats, score_matrix
from training.trial import build_examples

if TYPE_CHECKING:
    from training.trial import Trial

SHARES: Final = (0.1, 0.25, 0.5)
_SALT: Final = "learning curve "


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """Figures on the judged rows of a model that learned from a share of the groups.

    Parameters
    ----------
    rows
        Rows learned from; judged out of fold, their mean over the folds.
    """

    share: float
    rows: int
    accuracy: Estimate
    macro_f1: Estimate


def measure_learning(trial: "Trial", shares: tuple[float, ...] = SHARES) -> tuple[LearningPoint, ...]:
    """Measure the learning curve of a trial, the trial itself as its last point.

    Fewer rows are fitted faster: all of it takes less than one fit more. Shares are left out that have too few rows
    of a class to learn from, or no fewer groups than the next.
    """
    examples = build_examples(trial.training_set, trial.spec, trial.training_set.matrix).narrow()
    folds = _list_folds(trial, examples)
    points = {point.rows: point for share in shares for point in _measure_share(trial, examples, folds, share)}
    whole = _build_point(trial, 1.0, [len(learn) for learn, _ in folds], trial.probabilities)
    return tuple((points | {whole.rows: whole}).values())


def take_groups(examples: Examples, share: float) -> Examples:
    """The rows of a share of the groups, rounded up: those whose names hash lowest, so that shares are nested."""
    names = np.unique(examples.groups)
    hashes = [hashlib.sha256((_SALT + str(name)).encode()).digest() for name in names]
    lowest = sorted(range(len(names)), key=hashes.__getitem__)[: math.ceil(share * len(names))]
    return examples.take(np.isin(examples.groups, names[lowest]))


def _list_folds(trial: "Trial", examples: Examples) -> list[Fold]:
    if trial.spec.is_cross_group:
        return deal_folds(examples.groups, trial.spec.folds)
    return [(np.flatnonzero(~trial.training_set.is_held_out), trial.rows.positions)]


def _measure_share(trial: "Trial", examples: Examples, folds: list[Fold], share: float) -> Iterator[LearningPoint]:
    spec, recipe = trial.spec, trial.recipe.fix(trial.fitted.settings)
    sides = [take_groups(examples.take(learn), share) for learn, _ in folds]
    if min(np.bincount(side.labels, minlength=len(spec.classes)).min() for side in sides) < spec.min_class_rows:
        return
    probabilities = np.zeros((len(examples.labels), len(spec.classes)))
    for side, (_, judge) in zip(sides, folds, strict=True):
        fitted = fit_model(side, recipe, spec.build_pipeline)
        probabilities[judge] = score_matrix(fitted.pipeline, examples.matrix[judge])
    yield _build_point(trial, share, [len(side.labels) for side in sides], probabilities[trial.rows.positions])


def _build_point(trial: "Trial", share: float, rows: list[int], probabilities: Floats) -> LearningPoint:
    values = estimate_metrics(trial.rows.tally(probabilities), trial.spec.classes).values
    return LearningPoint(share, round(float(np.mean(rows))), values["accuracy"], values["macro_f1"])
