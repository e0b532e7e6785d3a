"""What a registered version says of the rows it is judged by, and what it is worth on those that are held out now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.lake import run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from training.dataset import TrainingSet, build_training_set
from training.describe import check_split, read_matrix, read_recipe
from training.evaluate import choose_judged_rows
from training.examination import examine_pipeline
from training.model import Floats, load_pipeline
from training.registry import resolve
from training.stopwatch import Stopwatch
from training.trial import evaluate_judged, predict_judged
from training.version import ModelVersion

if TYPE_CHECKING:
    from feature_repo.lake import Lake
    from training.evaluate import Evaluation
    from training.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class EvaluateReceipt:
    """What a registered version is worth on the rows that are held out now."""

    run_id: str
    model: str
    version: str
    data_version: int
    evaluation: "Evaluation"
    stage_seconds: Mapping[str, float]


def evaluate_model(
    lake: "Lake", spec: "ModelSpec", version: str, *, run_id: str, now: datetime, data_version: int
) -> EvaluateReceipt:
    """Evaluate a registered version on the rows that are held out as of a data version.

    Parameters
    ----------
    version
        Number or alias; resolved once.

    Raises
    ------
    BadData
        If the version was trained under another split, so that it may have learned from these rows.
    """
    watch = Stopwatch()
    with watch.time("read"):
        found = resolve(lake, spec.name, version)
        check_split(spec, found)
        spec = replace(spec, feature_service=found.descriptor["feature_service"])
        training_set = build_training_set(lake, spec, data_version=data_version, as_of=now)
    with watch.time("score"):
        rows = choose_judged_rows(training_set, spec)
        behaviours = examine_pipeline(load_pipeline(found.path), read_matrix(found), spec)
        evaluation = replace(
            evaluate_judged(spec, rows, predict_version(found, training_set, spec)), behaviours=behaviours
        )
    run = Run(
        run_id,
        "evaluate",
        now,
        watch.advance(now),
        model=spec.name,
        model_version=found.version,
        rows_owed=len(rows.labels),
        data_version=data_version,
        stage_seconds=watch.seconds,
        details=evaluation.to_json(),
    )
    with write_lake(lake, purpose=f"evaluate {spec.name}") as connection:
        run_transaction(connection, lambda inside: append_run(inside, run))
    return EvaluateReceipt(run_id, spec.name, found.version, data_version, evaluation, watch.seconds)


def predict_version(version: ModelVersion, training_set: TrainingSet, spec: "ModelSpec") -> Floats:
    """Probabilities by a registered version of the rows it is judged by."""
    return predict_judged(
        training_set,
        spec,
        matrix=read_matrix(version),
        recipe=read_recipe(version),
        pipeline=load_pipeline(version.path),
    )
