"""One trial: a recipe fitted on the training side and its probabilities on the judged rows.

This is the one place where rows that are learned from and rows that are judged meet, so that who may see what
can be read on one page. Figures are made of them in `evaluate`, a verdict in `gate`.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_repo.errors import BadData
from training.evaluate import Evaluation, JudgedRows, choose_judged_rows, evaluate_probabilities
from training.fit import Examples, FittedModel, fit_model, predict_out_of_fold
from training.metrics import Metrics, estimate_metrics, tally_groups
from training.model import Floats, MatrixSpec, build_matrix, score_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.dataset import TrainingSet
    from training.spec import ModelSpec, Recipe

_LATER_SHARE: Final = 0.2
_MIN_LATER_ROWS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of a recipe on a training set.

    Parameters
    ----------
    fitted
        The model to register.
    rows, probabilities
        What it was judged on, and what it said there.
    """

    spec: "ModelSpec"
    training_set: "TrainingSet"
    recipe: "Recipe"
    fitted: FittedModel
    rows: JudgedRows
    probabilities: Floats
    evaluation: Evaluation


def run_trial(training_set: "TrainingSet", spec: "ModelSpec", recipe: "Recipe") -> Trial:
    """Fit a recipe on the training side and judge it on the rows it has not seen.

    A cross-group spec has no held-out side: the model to register learns from every row, and is judged
    by refits that have not seen the group in question.
    """
    check_groups_apart(training_set)
    examples = build_examples(training_set, spec, training_set.matrix)
    rows = choose_judged_rows(training_set, spec)
    fit = partial(fit_model, recipe=recipe, build_pipeline=spec.build_pipeline)
    fitted = fit(examples.take(~training_set.is_held_out))
    later = None
    if spec.is_cross_group:
        probabilities = predict_out_of_fold(examples, spec.folds, fit)
    else:
        probabilities = score_matrix(fitted.pipeline, examples.matrix[rows.positions])
        later = measure_later(training_set, spec, examples, recipe.fix(fitted.settings))
    evaluation = evaluate_judged(spec, rows, probabilities, later)
    return Trial(spec, training_set, recipe, fitted, rows, probabilities, evaluation)


def predict_judged(
    training_set: "TrainingSet", spec: "ModelSpec", *, matrix: MatrixSpec, recipe: "Recipe", pipeline: "Pipeline"
) -> Floats:
    """What a registered version says of the judged rows; for a cross-group spec, what refits of its recipe say.

    Parameters
    ----------
    training_set
        Read through the feature service of that version.
    matrix, recipe, pipeline
        As the version was registered with.
    """
    examples = build_examples(training_set, spec, matrix)
    if spec.is_cross_group:
        fit = partial(fit_model, recipe=recipe, build_pipeline=spec.build_pipeline)
        return predict_out_of_fold(examples, spec.folds, fit)
    return score_matrix(pipeline, examples.matrix[training_set.is_held_out])


def refit_judged(trial: Trial, examples: Examples) -> Floats:
    """What the settings of a trial, fitted anew, say of its judged rows; out of fold for a cross-group spec.

    Parameters
    ----------
    examples
        Every row of the trial's training set, as other columns may have it.
    """
    spec, is_held_out = trial.spec, trial.training_set.is_held_out
    recipe = trial.recipe.fix(trial.fitted.settings)
    fit = partial(fit_model, recipe=recipe, build_pipeline=spec.build_pipeline)
    if spec.is_cross_group:
        return predict_out_of_fold(examples, spec.folds, fit)
    examples = examples.narrow()
    return score_matrix(fit(examples.take(~is_held_out)).pipeline, examples.matrix[trial.rows.positions])


def evaluate_judged(
    spec: "ModelSpec", rows: JudgedRows, probabilities: Floats, later: Metrics | None = None
) -> Evaluation:
    """Measure probabilities on the judged rows of a spec, saying how the rows were kept apart."""
    design = f"on {spec.held_out_share:.0%} of the groups ({spec.group_column}), held out for ever"
    if spec.is_cross_group:
        design = f"out of fold, on {min(spec.folds, rows.group_count)} folds of whole groups ({spec.group_column})"
    return evaluate_probabilities(rows, probabilities, design=design, abstain_below=spec.abstain_below, later=later)


def build_examples(training_set: "TrainingSet", spec: "ModelSpec", matrix: MatrixSpec) -> Examples:
    """Every row of the set as a matrix; what may be learned from is for the caller to take."""
    cells = build_matrix(training_set.table, matrix)
    return Examples(cells, training_set.labels, training_set.groups, len(spec.classes))


def measure_later(
    training_set: "TrainingSet", spec: "ModelSpec", examples: Examples, recipe: "Recipe"
) -> Metrics | None:
    """Figures of a model that learned from the earlier 80 % of the rows, on later rows of held-out groups.

    None if there are fewer than 100 such rows, or too few of a class to learn from. The settings are those chosen on
    the whole training side, of which no held-out group is part.
    """
    instants = training_set.table.column("event_timestamp").to_numpy().astype("datetime64[us]").astype(np.int64)
    is_later = instants > np.quantile(instants, 1 - _LATER_SHARE)
    learn, judge = ~training_set.is_held_out & ~is_later, training_set.is_held_out & is_later
    counts = np.bincount(training_set.labels[learn], minlength=len(spec.classes))
    if judge.sum() < _MIN_LATER_ROWS or counts.min() < spec.min_class_rows:
        return None
    examples = examples.narrow()
    fitted = fit_model(examples.take(learn), recipe, spec.build_pipeline)
    judged = examples.take(judge)
    groups = np.unique(judged.groups, return_inverse=True)[1].astype(np.int64)
    probabilities = score_matrix(fitted.pipeline, judged.matrix)
    return estimate_metrics(tally_groups(judged.labels, probabilities, groups, int(groups.max()) + 1), spec.classes)


def check_groups_apart(training_set: "TrainingSet") -> None:
    """Refuse a split with rows of one group on both sides: what was learned there would be judged there.

    Raises
    ------
    BadData
        Naming up to five such groups.
    """
    held_out = training_set.is_held_out
    shared = np.intersect1d(training_set.groups[held_out], training_set.groups[~held_out])
    if len(shared):
        raise BadData(
            f"no group may be on both sides of the split; {len(shared)} are: {', '.join(map(str, shared[:5]))}. "
            "The split must follow from the group alone."
        )


def check_same_rows(challenger: "TrainingSet", champion: "TrainingSet") -> None:
    """Refuse to compare models on different rows.

    Raises
    ------
    BadData
        If the two sets, each read through its model's feature service, do not hold the same comments.
    """
    ours, theirs = challenger.table.column("comment_id"), champion.table.column("comment_id")
    if not ours.equals(theirs):
        raise BadData(
            f"the feature services {challenger.service.name} and {champion.service.name} give {len(ours)} and "
            f"{len(theirs)} labelled comments, and not the same; a paired comparison needs the same rows"
        )
