"""The ablation: what the model is worth without each group of its columns, judged on the same rows.

Settings are those chosen with all of them: only the columns become fewer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from feature_repo.tables.features import COMMENT_FEATURES
from training.difference import compare_macro_f1
from training.metrics import Estimate
from training.trial import build_examples, refit_judged

if TYPE_CHECKING:
    from training.model import MatrixSpec
    from training.trial import Trial


@dataclass(frozen=True, slots=True)
class AblationPoint:
    """The model fitted without a group of columns.

    Parameters
    ----------
    left_out
        The group, in words.
    macro_f1
        Without it.
    difference
        To macro-F1 with all columns: below 0, the group is worth something. Paired.
    """

    left_out: str
    macro_f1: float
    difference: Estimate


def measure_ablation(trial: "Trial") -> tuple[AblationPoint, ...]:
    """Measure what each group of columns is worth: a fit for each, and of a cross-group model one for each fold.

    Groups that have no value in any row are left out.
    """
    matrix = trial.training_set.matrix
    whole = build_examples(trial.training_set, trial.spec, matrix)
    # Folds choose settings of their own: only with the same settings does the difference come of the columns alone.
    said = refit_judged(trial, whole) if trial.spec.is_cross_group else trial.probabilities
    points = []
    for left_out, fewer in list_variants(matrix):
        examples = build_examples(trial.training_set, trial.spec, fewer)
        if examples.matrix.nnz == whole.matrix.nnz:
            continue
        difference = compare_macro_f1(trial.rows, refit_judged(trial, examples), said)
        points.append(AblationPoint(left_out, difference.ours, difference.estimate))
    return tuple(points)


def list_variants(matrix: "MatrixSpec") -> Iterator[tuple[str, "MatrixSpec"]]:
    """The columns of a model without each group of them, and what the group is called."""
    of_comment = tuple(name for name in matrix.numeric if name in COMMENT_FEATURES.columns)
    of_others = tuple(name for name in matrix.numeric if name not in COMMENT_FEATURES.columns)
    yield "beginnings of words", replace(matrix, token_columns=matrix.token_columns[:1])
    yield "valences", replace(matrix, lexicon=None)
    yield "numbers of the comment", replace(matrix, numeric=of_others)
    yield "numbers of channel and video", replace(matrix, numeric=of_comment)
