"""The steps of training: train a version and let the gate decide, or evaluate a version again.

Each reads, calls the kernels and records what came of it. Order of flows and retries are in `flows`, promotion
and rollback by hand in `promote`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from feature_repo.lake import read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_peak_memory_mib
from training.dataset import TrainingSet, build_training_set
from training.describe import build_descriptor, build_record, check_split, read_matrix, read_recipe
from training.evaluate import choose_judged_rows
from training.gate import Verdict, judge
from training.model import Floats, load_pipeline
from training.promotions import Promotion, append_promotion, read_standing
from training.provenance import read_provenance
from training.registry import ModelVersion, mirror_aliases, register_version, resolve
from training.stopwatch import Stopwatch
from training.trial import Trial, check_same_rows, evaluate_judged, predict_judged, run_trial

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake
    from training.evaluate import Evaluation
    from training.spec import ModelSpec

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainReceipt:
    """What came of a training run.

    Parameters
    ----------
    rows
        Labelled comments; those that the evaluation is on are counted there.
    rows_expired
        Labelled comments that could not be learned from any more, because their text has expired.
    stage_seconds
        read, fit (tuning and evaluation included), judge and register.
    champion_before, champion_after
        Version numbers; the same if the gate refused.
    """

    run_id: str
    model: str
    version: str
    data_version: int
    digest: str
    rows: int
    rows_expired: int
    evaluation: "Evaluation"
    verdict: Verdict
    stage_seconds: Mapping[str, float]
    champion_before: str | None
    champion_after: str | None


@dataclass(frozen=True, slots=True)
class EvaluateReceipt:
    """What a registered version is worth on the rows that are held out now."""

    run_id: str
    model: str
    version: str
    data_version: int
    evaluation: "Evaluation"
    stage_seconds: Mapping[str, float]


def train_model(
    lake: "Lake",
    spec: "ModelSpec",
    *,
    run_id: str,
    now: datetime,
    data_version: int,
    candidate: Mapping[str, Any] | None = None,
) -> TrainReceipt:
    """Train a version, register it, and make it champion if the gate lets it.

    Parameters
    ----------
    now
        Start of the run (aware); labels given later do not count.
    data_version
        Rows with a greater ingest_seq do not count.
    candidate
        Changes to the spec's recipe, such as {"C": 0.0001} or {"label_shuffle_seed": 1}.

    Raises
    ------
    BadData
        If the labels do not suffice to train.
    Unavailable
        If features are missing, or another run changed the champion meanwhile.
    """
    watch = Stopwatch()
    recipe = spec.recipe.change(candidate or {})
    with watch.time("read"):
        training_set = build_training_set(lake, spec, data_version=data_version, as_of=now)
    with watch.time("fit"):
        trial = run_trial(training_set, spec, recipe)
    with watch.time("judge"):
        champion = _find_champion(lake, spec.name)
        verdict = _judge(lake, trial, champion)
    with watch.time("register"):
        version = _register(lake, trial, verdict, run_id=run_id, seconds=watch.seconds)
    promotion = _decide(version, verdict, champion, run_id=run_id, decided_at=watch.advance(now))
    _publish(lake, promotion, _describe_run(trial, promotion, started_at=now, seconds=watch.seconds))
    mirror_aliases(lake, spec.name)
    return _write_receipt(trial, verdict, promotion, watch.seconds)


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
        evaluation = evaluate_judged(spec, rows, _predict(found, training_set, spec))
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


def _find_champion(lake: "Lake", model: str) -> ModelVersion | None:
    with read_lake(lake) as connection:
        version = read_standing(connection, model).champion
    return None if version is None else resolve(lake, model, version)


def _judge(lake: "Lake", trial: Trial, champion: ModelVersion | None) -> Verdict:
    if champion is None:
        return judge(trial.rows, trial.probabilities, None, trial.spec.gate)
    check_split(trial.spec, champion)
    known = _read_for(lake, trial, champion.descriptor["feature_service"])
    return judge(trial.rows, trial.probabilities, _predict(champion, known, trial.spec), trial.spec.gate)


def _read_for(lake: "Lake", trial: Trial, service: str) -> TrainingSet:
    """The trial's rows with the features of the champion's service, which need not be the challenger's."""
    ours = trial.training_set
    if service == ours.service.name:
        return ours
    spec = replace(trial.spec, feature_service=service)
    theirs = build_training_set(lake, spec, data_version=ours.data_version, as_of=ours.as_of)
    check_same_rows(ours, theirs)
    return theirs


def _predict(version: ModelVersion, training_set: TrainingSet, spec: "ModelSpec") -> Floats:
    return predict_judged(
        training_set,
        spec,
        matrix=read_matrix(version),
        recipe=read_recipe(version),
        pipeline=load_pipeline(version.path),
    )


def _register(
    lake: "Lake", trial: Trial, verdict: Verdict, *, run_id: str, seconds: Mapping[str, float]
) -> ModelVersion:
    descriptor = build_descriptor(trial, run_id=run_id)
    tags = read_provenance() | {f"seconds_{stage}": f"{spent:.3f}" for stage, spent in seconds.items()}
    tags["peak_memory_mib"] = f"{read_peak_memory_mib():.0f}"
    record = build_record(trial, verdict, descriptor, tags=tags)
    return register_version(lake, trial.spec.name, pipeline=trial.fitted.pipeline, descriptor=descriptor, record=record)


def _decide(
    version: ModelVersion, verdict: Verdict, champion: ModelVersion | None, *, run_id: str, decided_at: datetime
) -> Promotion:
    before = champion.version if champion else None
    return Promotion(
        decided_at=decided_at,
        model=version.model,
        version=version.version,
        action="promoted" if verdict.is_promoted else "refused",
        champion_before=before,
        champion_after=version.version if verdict.is_promoted else before,
        reasons=verdict.sentences,
        run_id=run_id,
    )


def _describe_run(trial: Trial, promotion: Promotion, *, started_at: datetime, seconds: Mapping[str, float]) -> Run:
    metrics = {name: one.value for name, one in trial.evaluation.overall.values.items()}
    return Run(
        promotion.run_id,
        "train",
        started_at,
        promotion.decided_at,
        outcome="done" if promotion.action == "promoted" else "refused",
        model=promotion.model,
        model_version=promotion.version,
        rows_owed=len(trial.training_set.labels),
        data_version=trial.training_set.data_version,
        stage_seconds=seconds,
        details={
            "digest": trial.training_set.digest,
            "metrics": metrics,
            "c": trial.fitted.c,
            "rows_expired": len(trial.training_set.expired_ids),
        },
    )


def _publish(lake: "Lake", promotion: Promotion, run: Run) -> None:
    def publish(connection: "duckdb.DuckDBPyConnection") -> None:
        append_promotion(connection, promotion)
        append_run(connection, run)

    with write_lake(lake, purpose=f"publish the verdict on {promotion.model}") as connection:
        run_transaction(connection, publish)
    _logger.info(
        "table=ops.promotions model=%s version=%s action=%s champion=%s",
        promotion.model,
        promotion.version,
        promotion.action,
        promotion.champion_after,
    )


def _write_receipt(trial: Trial, verdict: Verdict, promotion: Promotion, seconds: Mapping[str, float]) -> TrainReceipt:
    return TrainReceipt(
        run_id=promotion.run_id,
        model=promotion.model,
        version=promotion.version,
        data_version=trial.training_set.data_version,
        digest=trial.training_set.digest,
        rows=len(trial.training_set.labels),
        rows_expired=len(trial.training_set.expired_ids),
        evaluation=trial.evaluation,
        verdict=verdict,
        stage_seconds=dict(seconds),
        champion_before=promotion.champion_before,
        champion_after=promotion.champion_after,
    )
