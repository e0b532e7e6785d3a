"""The step of training: train a version and let the gate decide.

It reads, calls the kernels and records what came of it. Order of flows and retries are in `flows`, the judging in
`judgement`, what need not be done again in `rerun`, evaluation of what is registered in `reevaluate`, promotion and
rollback by hand in `promote`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from feature_repo.lake import read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_peak_memory_mib
from training.dataset import TrainingSet, build_training_set
from training.describe import build_descriptor
from training.examination import examine_trial
from training.gate import Verdict
from training.judgement import Ask, Judgement, judge_trial, settle
from training.kept_rows import build_kept_rows
from training.promotions import Promotion, append_promotion, read_standing
from training.provenance import read_provenance
from training.registry import mirror_aliases, mirror_verdict, register_version
from training.rerun import Earlier, describe_verdict, find_earlier, restore_trial
from training.resolved import resolve_again
from training.run_record import build_record
from training.stopwatch import Stopwatch
from training.trial import Trial, run_trial
from training.version import ModelVersion

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake
    from training.evaluate import Evaluation
    from training.spec import ModelSpec, Recipe

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
        read, fit (tuning and evaluation included), judge and register; those that were needed.
    champion_before, champion_after
        Version numbers; the same if the gate refused.
    why
        Why the version was computed, or was not computed again.
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
    why: str = ""

    @property
    def is_reused(self) -> bool:
        """Whether a version stood for the same inputs already, so that nothing was fitted."""
        return "fit" not in self.stage_seconds

    @property
    def is_unchanged(self) -> bool:
        """Whether its verdict stood already, too, so that nothing was done."""
        return "judge" not in self.stage_seconds


def train_model(  # noqa: PLR0913 - a run has as many settings
    lake: "Lake",
    spec: "ModelSpec",
    *,
    run_id: str,
    now: datetime,
    data_version: int,
    candidate: Mapping[str, Any] | None = None,
    is_again: bool = False,
    ask: Ask | None = None,
) -> TrainReceipt:
    """Train a version, register it, and make it champion if the gate lets it.

    What an earlier run did on the same inputs is not done again: see `rerun`.

    Parameters
    ----------
    now
        Start of the run (aware); labels given later do not count.
    data_version
        Rows with a greater ingest_seq do not count.
    candidate
        Changes to the spec's recipe, such as {"C": 0.0001} or {"label_shuffle_seed": 1}.
    is_again
        Fits and judges whatever was done before.
    ask
        Asked about a version that passed the gate, before it is promoted: what a person says is one check more.

    Raises
    ------
    BadData
        If the labels do not suffice to train.
    Unavailable
        If features are missing, or another run writes for too long.
    """
    run = _Run(lake, run_id, now)
    recipe = spec.recipe.change(candidate or {})
    with run.watch.time("read"):
        training_set = build_training_set(lake, spec, data_version=data_version, as_of=now)
        earlier = Earlier("it was asked for") if is_again else find_earlier(lake, training_set, spec, recipe)
    if earlier.version and earlier.verdict:
        trial = restore_trial(earlier.version, training_set, spec)
        return _leave(run, trial, _Standing(earlier.version.version, earlier.verdict, earlier.why))
    trial = _fit(training_set, spec, recipe, earlier.version, run.watch)
    with run.watch.time("judge"):
        first = judge_trial(lake, trial)
    with run.watch.time("register"):
        version = earlier.version or _register(run, trial, first.verdict)
    promotion, verdict = settle(
        lake, trial, first, partial(_publish, run, trial, version), ask and partial(ask, version.version)
    )
    mirror_aliases(lake, spec.name)
    mirror_verdict(lake, version, promotion.action, promotion.reasons)
    if promotion.champion_after == version.version:
        resolve_again(lake, spec.name, version.version)  # kept: the first run that scores need not wait for MLflow
    champions = promotion.champion_before, promotion.champion_after
    return _write_receipt(run, trial, _Standing(version.version, verdict, earlier.why), champions)


@dataclass(frozen=True, slots=True)
class _Run:
    """A training run under way."""

    lake: "Lake"
    run_id: str
    started_at: datetime
    watch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stands at the end of a run: a version, its verdict, and why it was computed or not."""

    version: str
    verdict: Verdict
    why: str


def _fit(
    training_set: TrainingSet, spec: "ModelSpec", recipe: "Recipe", earlier: ModelVersion | None, watch: Stopwatch
) -> Trial:
    if earlier is not None:
        return restore_trial(earlier, training_set, spec)
    with watch.time("fit"):
        return examine_trial(run_trial(training_set, spec, recipe))


def _register(run: _Run, trial: Trial, verdict: Verdict) -> ModelVersion:
    descriptor = build_descriptor(trial, run_id=run.run_id)
    costs = {f"seconds/{stage}": spent for stage, spent in run.watch.seconds.items()}
    costs["peak_memory_mib"] = read_peak_memory_mib()
    return register_version(
        run.lake,
        trial.spec.name,
        pipeline=trial.fitted.pipeline,
        descriptor=descriptor,
        record=build_record(trial, verdict, descriptor, tags=read_provenance(), costs=costs),
        kept_rows=build_kept_rows(trial),
    )


def _publish(run: _Run, trial: Trial, version: ModelVersion, judgement: Judgement) -> Promotion:
    promotion = _decide(version, judgement, run_id=run.run_id, decided_at=run.watch.advance(run.started_at))
    row = _describe_run(run, trial, judgement.verdict, promotion)

    def publish(connection: "duckdb.DuckDBPyConnection") -> None:
        append_promotion(connection, promotion)
        append_run(connection, row)

    with write_lake(run.lake, purpose=f"publish the verdict on {promotion.model}") as connection:
        run_transaction(connection, publish)
    _logger.info(
        "table=ops.promotions model=%s version=%s action=%s champion=%s",
        promotion.model,
        promotion.version,
        promotion.action,
        promotion.champion_after,
    )
    return promotion


def _decide(version: ModelVersion, judgement: Judgement, *, run_id: str, decided_at: datetime) -> Promotion:
    before, verdict = judgement.champion, judgement.verdict
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


def _describe_run(run: _Run, trial: Trial, verdict: Verdict, promotion: Promotion) -> Run:
    metrics = {name: one.value for name, one in trial.evaluation.overall.values.items()}
    return Run(
        run.run_id,
        "train",
        run.started_at,
        promotion.decided_at,
        outcome="done" if promotion.action == "promoted" else "refused",
        model=promotion.model,
        model_version=promotion.version,
        rows_owed=len(trial.training_set.labels),
        data_version=trial.training_set.data_version,
        stage_seconds=run.watch.seconds,
        details={
            "digest": trial.training_set.digest,
            "metrics": metrics,
            "settings": dict(trial.fitted.settings),
            "rows_expired": len(trial.training_set.expired_ids),
            **describe_verdict(verdict, trial.spec.gate),
        },
    )


def _leave(run: _Run, trial: Trial, standing: _Standing) -> TrainReceipt:
    """Record that nothing was left to do: what stands is of an earlier run."""
    with read_lake(run.lake) as connection:
        champion = read_standing(connection, trial.spec.name).champion
    row = Run(
        run.run_id,
        "train",
        run.started_at,
        run.watch.advance(run.started_at),
        model=trial.spec.name,
        model_version=standing.version,
        rows_owed=len(trial.training_set.labels),
        data_version=trial.training_set.data_version,
        stage_seconds=run.watch.seconds,
        details={"digest": trial.training_set.digest, "nothing_done": standing.why},
    )
    with write_lake(run.lake, purpose=f"record that {trial.spec.name} is unchanged") as connection:
        run_transaction(connection, lambda inside: append_run(inside, row))
    mirror_aliases(run.lake, trial.spec.name)
    _logger.info("model=%s version=%s nothing done: %s", trial.spec.name, standing.version, standing.why)
    return _write_receipt(run, trial, standing, (champion, champion))


def _write_receipt(
    run: _Run, trial: Trial, standing: _Standing, champions: tuple[str | None, str | None]
) -> TrainReceipt:
    known = trial.training_set
    return TrainReceipt(
        run_id=run.run_id,
        model=trial.spec.name,
        version=standing.version,
        data_version=known.data_version,
        digest=known.digest,
        rows=len(known.labels),
        rows_expired=len(known.expired_ids),
        evaluation=trial.evaluation,
        verdict=standing.verdict,
        stage_seconds=dict(run.watch.seconds),
        champion_before=champions[0],
        champion_after=champions[1],
        why=standing.why,
    )
