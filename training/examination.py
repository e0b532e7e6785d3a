"""What a version that is to be kept is asked beyond its trial: behavioural checks, learning curve and ablation."""

from dataclasses import replace
from typing import TYPE_CHECKING

from training.ablation import measure_ablation
from training.behaviour import check_behaviours, read_behaviours
from training.learning import measure_learning

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from training.behaviour import BehaviourResult
    from training.model import MatrixSpec
    from training.spec import ModelSpec
    from training.trial import Trial


def examine_trial(trial: "Trial") -> "Trial":
    """The trial with its behaviours, its learning curve and its ablation among the figures."""
    evaluation = replace(
        trial.evaluation,
        behaviours=examine_pipeline(trial.fitted.pipeline, trial.training_set.matrix, trial.spec),
        learning=measure_learning(trial),
        ablation=measure_ablation(trial),
    )
    return replace(trial, evaluation=evaluation)


def examine_pipeline(pipeline: "Pipeline", matrix: "MatrixSpec", spec: "ModelSpec") -> "tuple[BehaviourResult, ...]":
    """What a fitted pipeline makes of the texts that were written for its model."""
    return check_behaviours(read_behaviours(spec.name, spec.classes), pipeline, matrix, spec.classes)
