"""Fitting: which strength of penalty, and the pipeline itself, from the rows it is given and no others.

Cross-validation by group belongs here. Which rows may be learned from at all is decided in `dataset`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from feature_repo.errors import BadData
from training.metrics import compute_log_loss
from training.model import Floats, score_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.spec import PipelineBuilder, Recipe

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

_TUNING_FOLDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows to learn from: a matrix, class codes and the names of their groups, one entry per row."""

    matrix: sparse.csr_matrix
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    class_count: int

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Examples":
        """Return some of the rows, by position or by mask."""
        return Examples(self.matrix[rows], self.labels[rows], self.groups[rows], self.class_count)


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A fitted pipeline, the C it was fitted with, and the cross-validated log loss (nats) of every C tried."""

    pipeline: "Pipeline"
    c: float
    tuning_log_loss: dict[float, float]


def fit_model(examples: Examples, recipe: "Recipe", build_pipeline: "PipelineBuilder") -> FittedModel:
    """Fit a pipeline with the C that had the least log loss out of fold; of equal ones, the first.

    Log loss, because the confidence is used and not the label alone. The folds keep groups whole; with a single
    group there is nothing to compare on, and the first C is taken.
    """
    examples = _shuffle_labels(examples, recipe.label_shuffle_seed)
    # One thread: sums in one order give the same model everywhere, and the threads of BLAS only wait for each other on
    # vectors this short (four times slower). The limit reaches the libraries loaded by now: hence scikit-learn above.
    with threadpool_limits(limits=1):
        losses = _tune(examples, recipe, build_pipeline)
        c = min(losses, key=lambda value: losses[value]) if losses else recipe.c_values[0]
        pipeline = build_pipeline(c, recipe.class_weight).fit(examples.matrix, examples.labels)
    return FittedModel(pipeline, c, losses)


def predict_out_of_fold(examples: Examples, folds: int, fit: Callable[[Examples], FittedModel]) -> Floats:
    """Probabilities of every row by a model that has seen no row of its group, shape (rows, classes).

    Everything is fitted anew for each fold, the choice of C included.
    """
    probabilities = np.zeros((len(examples.labels), examples.class_count))
    for learn, judge in deal_folds(examples.groups, folds):
        fitted = fit(examples.take(learn))
        probabilities[judge] = score_matrix(fitted.pipeline, examples.matrix[judge], examples.class_count)
    return probabilities


def deal_folds(groups: NDArray[np.str_], folds: int) -> list[Fold]:
    """Deal whole groups into folds of about equal size: (rows to learn from, rows to judge on) for each.

    With as many groups as folds, or fewer, each group is a fold. The same groups and sizes give the same folds.

    >>> [judge.tolist() for _, judge in deal_folds(np.array(["a", "b", "a"]), 5)]
    [[0, 2], [1]]
    """
    count = min(folds, len(np.unique(groups)))
    if count < 2:  # noqa: PLR2004 - one group to learn from, one to judge on
        raise BadData("folds across groups need at least two groups, found one")
    return list(GroupKFold(count).split(groups, groups=groups))


def _tune(examples: Examples, recipe: "Recipe", build_pipeline: "PipelineBuilder") -> dict[float, float]:
    if len(recipe.c_values) == 1 or len(np.unique(examples.groups)) == 1:
        return {}
    folds = deal_folds(examples.groups, _TUNING_FOLDS)
    builders = {c: partial(build_pipeline, c, recipe.class_weight) for c in recipe.c_values}
    return {c: float(np.mean(list(_measure_folds(examples, folds, build)))) for c, build in builders.items()}


def _measure_folds(examples: Examples, folds: Sequence[Fold], build: Callable[[], "Pipeline"]) -> Iterator[float]:
    for learn, judge in folds:
        pipeline = build().fit(examples.matrix[learn], examples.labels[learn])
        probabilities = score_matrix(pipeline, examples.matrix[judge], examples.class_count)
        yield float(compute_log_loss(examples.labels[judge], probabilities).mean())


def _shuffle_labels(examples: Examples, seed: int | None) -> Examples:
    if seed is None:
        return examples
    shuffled = np.random.default_rng(seed).permutation(examples.labels)
    return Examples(examples.matrix, shuffled, examples.groups, examples.class_count)
