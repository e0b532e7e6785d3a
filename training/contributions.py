"""What each cell of a row adds to a model's decision, in log-odds; a matrix in, numbers out.

Each cell is judged alone, beside an empty row. Where decisions are a sum over cells, as those of a linear model on
weighed counts are, the parts add up to the whole exactly; where they are not, what is left over says so.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from feature_repo.errors import BadData

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from training.model import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """The parts of one row's decision.

    Parameters
    ----------
    columns
        Columns of the row's cells that are not zero, (cells,).
    parts
        What each cell adds to the log-odds of each class, (cells, classes).
    base
        The decision for an empty row, (classes,).
    rest
        What base and parts leave of the decision, (classes,): near zero for a linear model.
    """

    columns: "NDArray[np.int64]"
    parts: "Floats"
    base: "Floats"
    rest: "Floats"


def compute_contributions(pipeline: "Pipeline", row: sparse.csr_matrix) -> Contributions:
    """Take the decision for one row apart.

    Raises
    ------
    BadData
        If the pipeline decides otherwise than by log-odds.
    """
    if not hasattr(pipeline, "decision_function"):
        raise BadData(f"a {type(pipeline[-1]).__name__} has no log-odds to take apart; look at another version")
    cells = row.tocoo()
    alone = sparse.csr_matrix(
        (cells.data, (np.arange(cells.nnz), cells.col)), shape=(cells.nnz, row.shape[1]), dtype=np.float64
    )
    empty = sparse.csr_matrix((1, row.shape[1]))
    decisions = decide(pipeline, sparse.vstack([empty, row, alone], format="csr"))
    base, whole, parts = decisions[0], decisions[1], decisions[2:] - decisions[0]
    return Contributions(cells.col.astype(np.int64), parts, base, whole - base - parts.sum(axis=0))


def decide(pipeline: "Pipeline", matrix: sparse.csr_matrix) -> "Floats":
    """Log-odds per class, (rows, classes); of two classes, the first has the second's with the other sign."""
    decisions = np.asarray(pipeline.decision_function(matrix), dtype=np.float64)
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions
