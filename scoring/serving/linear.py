"""A pipeline whose decision is a sum over cells, as one table of weights: what a single request has time for.

The pipeline itself is asked for each cell alone, so that nothing need be known of its steps; where the table does not
give what the pipeline gives, there is no table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse
from scipy.special import expit, softmax

from training.contributions import decide
from training.model import score_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.model import Floats

_SAME: Final = 1e-9
_CELLS_AT_ONCE: Final = 1 << 18


def _share_odds(decisions: "Floats") -> "Floats":
    """One regression per class, normalised."""
    odds = expit(decisions)
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _share_exponentials(decisions: "Floats") -> "Floats":
    """One regression for all classes."""
    shares: Floats = softmax(decisions, axis=1)
    return shares


_LINKS: Final[tuple[Callable[["Floats"], "Floats"], ...]] = (_share_odds, _share_exponentials)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What each cell adds to the log-odds of each class, (columns, classes); the decision for an empty row, (classes,).

    Parameters
    ----------
    link
        From log-odds (rows, classes) to probabilities.
    """

    table: "Floats"
    base: "Floats"
    link: Callable[["Floats"], "Floats"]

    def score(self, matrix: sparse.csr_matrix) -> "Floats":
        """Probabilities of each class, (rows, classes)."""
        return self.link(matrix @ self.table + self.base)


def build_weights(pipeline: "Pipeline", checked: sparse.csr_matrix, classes: int) -> Weights | None:
    """The table of a pipeline; None if it does not decide by a sum, or gives other probabilities for `checked` rows."""
    if not hasattr(pipeline, "decision_function") or len(pipeline.classes_) != classes:
        return None
    base = decide(pipeline, sparse.csr_matrix((1, checked.shape[1])))[0]
    starts = range(0, checked.shape[1], _CELLS_AT_ONCE)
    parts = [decide(pipeline, _take_cells(start, checked.shape[1])) - base for start in starts]
    table = np.ascontiguousarray(np.concatenate(parts))  # a product with any other is copied first, all of it
    expected = score_matrix(pipeline, checked, classes)
    found = (Weights(table, base, link) for link in _LINKS)
    return next((one for one in found if np.abs(one.score(checked) - expected).max() < _SAME), None)


def _take_cells(start: int, columns: int) -> sparse.csr_matrix:
    """Rows of one cell each, which is 1: as many as are looked at together."""
    cells = np.arange(start, min(start + _CELLS_AT_ONCE, columns))
    return sparse.csr_matrix((np.ones(len(cells)), (np.arange(len(cells)), cells)), shape=(len(cells), columns))
