"""The step that scores what a model owes: lease, plan, workers, publication; and taking up a killed run."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run
from scoring.engine import run_partitions
from scoring.lease import release_lease, take_lease
from scoring.plan import Owed, ScorePlan, ScoreReceipt, build_plan, describe_owed, read_owed, read_plan, save_plan
from scoring.publish import check_still_owed, publish_scores
from training.registry import resolve

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How to run: partition size in rows, and local worker processes."""

    partition_rows: int = 200_000
    workers: int = 2


_ROLE: Final = "production"


def score_owed(
    lake: Lake,
    model: str,
    *,
    run_id: str,
    now: datetime,
    options: ScoreOptions,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ScoreReceipt:
    """Score every row the model owes, exactly once, and publish them as one.

    Killed at any instant, the next call finishes the work and does not compute finished partitions again.
    `on_progress` is told rows done and rows owed. Raises `Unavailable` if another run is at it, or if the
    model has no champion.
    """
    owed = read_owed(lake, model, role=_ROLE)
    if owed.rows == 0:
        return describe_owed(owed)
    started = perf_counter()
    plan = _find_interrupted(lake, owed) or _plan(lake, owed, run_id=run_id, now=now, options=options)
    _claim(lake, plan, now)
    try:
        save_plan(plan)
        planned = perf_counter()
        receipts = run_partitions(plan, workers=options.workers, on_progress=_count_up(on_progress, plan))
        scored = perf_counter()
        stages = {"plan": planned - started, "score": scored - planned}
        ended_at = now + timedelta(seconds=scored - started)
        run = publish_scores(lake, plan, receipts, ended_at=ended_at, stage_seconds=stages)
    except BaseException:
        _release(lake, plan)  # what is staged stays: the next call takes it up
        raise
    _log.info("scored model=%s rows=%d seconds=%.2f", model, run.rows_out, scored - started)
    return _build_receipt(plan, run, is_resumed=plan.run_id != run_id)


def _plan(lake: Lake, owed: Owed, *, run_id: str, now: datetime, options: ScoreOptions) -> ScorePlan:
    version = resolve(lake, owed.model)
    return build_plan(lake, version, owed, run_id=run_id, started_at=now, partition_rows=options.partition_rows)


def _find_interrupted(lake: Lake, owed: Owed) -> ScorePlan | None:
    """The plan that a killed run left, if what it would publish is still owed."""
    plans = (read_plan(lake, folder.name) for folder in _find_staging(lake, owed.model))
    return next((plan for plan in plans if plan and plan.owed.watermark == owed.watermark), None)


def _claim(lake: Lake, plan: ScorePlan, now: datetime) -> None:
    """Take the lease for the plan, if it is still owed, and clear what other dead runs left."""

    def claim(connection: "duckdb.DuckDBPyConnection") -> None:
        take_lease(connection, plan.lease, run_id=plan.run_id, now=now)
        check_still_owed(connection, plan)

    with write_lake(lake, purpose=f"lease {plan.lease} for {plan.run_id}") as connection:
        run_transaction(connection, claim)
    for folder in _find_staging(lake, plan.owed.model):
        if folder.name != plan.run_id:
            shutil.rmtree(folder)


def _release(lake: Lake, plan: ScorePlan) -> None:
    with write_lake(lake, purpose=f"release {plan.lease}") as connection:
        run_transaction(connection, lambda connection: release_lease(connection, plan.lease, plan.run_id))


def _find_staging(lake: Lake, model: str) -> list[Path]:
    return sorted(lake.staging.glob(f"score-{model}-*"))


def _count_up(on_progress: Callable[[int, int], None], plan: ScorePlan) -> Callable[[int], None]:
    done = 0

    def count_up(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(done, plan.owed.rows)

    return count_up


def _build_receipt(plan: ScorePlan, run: Run, *, is_resumed: bool) -> ScoreReceipt:
    return ScoreReceipt(
        run_id=plan.run_id,
        model=plan.owed.model,
        model_version=plan.model_version,
        rows_owed=plan.owed.rows,
        rows_scored=run.rows_out or 0,
        data_version=plan.owed.data_version,
        seconds=dict(run.stage_seconds),
        is_resumed=is_resumed,
        batches_ahead=plan.owed.batches_ahead,
        rows_expired=run.details["rows_expired"],
    )
