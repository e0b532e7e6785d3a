"""Fitting: the choice of settings and the pipeline itself, from the rows it is given and no others.

Search and cross-validation by group belong here. Which rows may be learned from at all is decided in `dataset`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - lets the next line in
from sklearn.model_selection import GroupKFold, HalvingGridSearchCV
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from feature_repo.errors import BadData
from training.metrics import compute_log_loss
from training.model import Floats, score_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.spec import PipelineBuilder, Recipe

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

_SEARCH_FOLDS: Final = 3
_HALVING: Final = 3  # keeps the better third, on three times the rows
_MIN_SEARCH_ROWS: Final = 3_000  # fewer tell settings apart by chance alone


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

    def narrow(self) -> "Examples":
        """Return the rows without the columns that no row has a value in.

        For fits that are not kept: a pipeline drops such columns anyway, and most of a million cost more than the rest.
        """
        return replace(self, matrix=self.matrix[:, np.unique(self.matrix.indices)])


@dataclass(frozen=True, slots=True)
class Attempt:
    """Settings that were tried, on how many rows, and their cross-validated log loss (nats)."""

    settings: Mapping[str, Any]
    rows: int
    log_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A fitted pipeline, the settings it was fitted with, and everything that was tried to choose them."""

    pipeline: "Pipeline"
    settings: Mapping[str, Any]
    attempts: tuple[Attempt, ...]


def fit_model(examples: Examples, recipe: "Recipe", build_pipeline: "PipelineBuilder") -> FittedModel:
    """Fit a pipeline with the settings that had the least log loss out of fold; of equal ones, the first.

    Log loss, because the confidence is used and not the label alone. The folds keep groups whole; with a single
    group there is nothing to compare on, and the first settings are taken.
    """
    examples = _shuffle_labels(examples, recipe.label_shuffle_seed)
    # One thread: sums in one order give the same model everywhere, and the threads of BLAS only wait for each other on
    # vectors this short (four times slower). The limit reaches the libraries loaded by now: hence scikit-learn above.
    with threadpool_limits(limits=1):
        settings, attempts = _search(examples.narrow(), recipe, build_pipeline())
        pipeline = build_pipeline().set_params(**settings).fit(examples.matrix, examples.labels)
    return FittedModel(pipeline, settings, attempts)


def predict_out_of_fold(examples: Examples, folds: int, fit: Callable[[Examples], FittedModel]) -> Floats:
    """Probabilities of every row by a model that has seen no row of its group, shape (rows, classes).

    Everything is fitted anew for each fold, the choice of settings included.
    """
    examples = examples.narrow()
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


def _search(examples: Examples, recipe: "Recipe", pipeline: "Pipeline") -> tuple[dict[str, Any], tuple[Attempt, ...]]:
    """Successive halving over every combination of the recipe's settings, within folds of whole groups.

    Jamieson and Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization*, AISTATS 2016.
    """
    first = {name: values[0] for name, values in recipe.search.items()}
    if all(len(values) == 1 for values in recipe.search.values()) or len(np.unique(examples.groups)) == 1:
        return first, ()
    rows = len(examples.labels)
    search = HalvingGridSearchCV(
        pipeline,
        {name: list(values) for name, values in recipe.search.items()},
        factor=_HALVING,
        min_resources="exhaust" if rows >= _HALVING * _MIN_SEARCH_ROWS else rows,
        cv=GroupKFold(min(_SEARCH_FOLDS, len(np.unique(examples.groups)))),
        scoring=_measure_log_loss,
        error_score="raise",
        refit=False,
        random_state=0,
    ).fit(examples.matrix, examples.labels, groups=examples.groups)
    tried = search.cv_results_
    attempts = tuple(
        Attempt(settings, int(used), -float(score))
        for settings, used, score in zip(tried["params"], tried["n_resources"], tried["mean_test_score"], strict=True)
    )
    finalists = [one for one in attempts if one.rows == attempts[-1].rows]
    return dict(min(finalists, key=lambda one: one.log_loss).settings), attempts


def _measure_log_loss(pipeline: "Pipeline", matrix: sparse.csr_matrix, labels: NDArray[np.int64]) -> float:
    """The negative mean log loss: a search takes the greatest. A class not learned has probability 0."""
    class_count = int(max(labels.max(), pipeline.classes_.max())) + 1
    return -float(compute_log_loss(labels, score_matrix(pipeline, matrix, class_count)).mean())


def _shuffle_labels(examples: Examples, seed: int | None) -> Examples:
    if seed is None:
        return examples
    shuffled = np.random.default_rng(seed).permutation(examples.labels)
    return Examples(examples.matrix, shuffled, examples.groups, examples.class_count)
