"""The step that scores what is owed to a request: lease, plan, workers, publication; and taking up a killed run."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from feature_repo.errors import Refused
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run
from scoring.economics import Cost, StageMeter, check_budget, estimate_cost
from scoring.engine import Engine, LocalEngine, run_partitions
from scoring.lease import release_lease, take_lease
from scoring.owed import Owed, ScoreRequest, read_owed
from scoring.plan import ScorePlan, build_plan, locate_staged
from scoring.publish import check_failures, check_overtaken, publish_scores
from scoring.staging import clear_staging, find_interrupted, save_plan
from training.registry import resolve
from training.resolved import resolve_again

if TYPE_CHECKING:
    import duckdb

    from scoring.staged import PartitionReceipt

_log = logging.getLogger(__name__)
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How to run: rows per partition, who runs them, and what may not be exceeded.

    Parameters
    ----------
    unscored_share_limit
        Share of the rows at which the model may fail, 0 to 1.
    disk_reserve_mib
        What has to stay free on the lake's disk.
    on_progress
        Told rows done and rows owed.
    """

    partition_rows: int = 200_000
    engine: Engine = field(default_factory=LocalEngine)
    unscored_share_limit: float = 0.01
    disk_reserve_mib: int = 512
    on_progress: OnProgress = lambda _done, _total: None


@dataclass(frozen=True, slots=True)
class ScoreReceipt:
    """What a scoring run did; no run and no version when it only said what is owed.

    Of the rows owed, `rows_expired` could not be scored any more, for their text had expired; at `rows_unscored` the
    model failed. `cost` is what was foretold.
    """

    request: ScoreRequest
    run_id: str | None
    versions: tuple[str, ...]
    rows_owed: int
    rows_scored: int
    data_version: int
    seconds: dict[str, float]
    is_resumed: bool = False
    batches_ahead: int = 0
    rows_expired: int = 0
    rows_unscored: int = 0
    cost: Cost | None = None


def describe_owed(lake: Lake, owed: Owed) -> ScoreReceipt:
    """Say what is owed and what it would cost, as the receipt of a run that scored nothing."""
    with read_lake(lake) as connection:
        cost = estimate_cost(connection, owed.request.model, owed.rows)
    versions = tuple(part.version for part in owed.parts if part.version)
    return ScoreReceipt(
        owed.request,
        None,
        versions,
        owed.rows,
        0,
        owed.data_version,
        seconds={},
        batches_ahead=owed.batches_ahead,
        cost=cost,
    )


def score_owed(lake: Lake, request: ScoreRequest, *, run_id: str, now: datetime, options: ScoreOptions) -> ScoreReceipt:
    """Score every row that is owed to the request, exactly once per version, and publish them as one.

    Killed at any instant, the next call finishes the work and does not compute finished partitions again.

    Parameters
    ----------
    run_id
        Begins with `staging.name_run(request)`, by which a next run finds what this one leaves if it is killed.

    Raises
    ------
    Unavailable
        If another run is at it, the model has no champion, or features are not there yet.
    Refused
        If the model fails at too many rows, or the disk is too small.
    """
    owed = read_owed(lake, request)
    if owed.rows == 0 and request.role != "backfill":  # which may still have scores to put in force
        return describe_owed(lake, owed)
    with read_lake(lake) as connection:
        plan = find_interrupted(connection, lake, owed)
        check_budget(lake, estimate_cost(connection, request.model, owed.rows), reserve_mib=options.disk_reserve_mib)
    holder = plan.run_id if plan else run_id
    with lake.catalog.hold_lease(request.lease, f"run {holder}") as is_holder_dead:
        _claim(lake, owed, holder, now, is_holder_dead=is_holder_dead)
        try:
            return _score(lake, owed, plan, run_id=run_id, now=now, options=options)
        except BaseException as error:
            # What is staged stays, and the next call takes it up: but not what was refused, it would be refused again.
            if isinstance(error, Refused):
                lake.storage.delete(locate_staged(lake, holder))
            _release(lake, request, holder)
            raise


def _score(
    lake: Lake, owed: Owed, found: ScorePlan | None, *, run_id: str, now: datetime, options: ScoreOptions
) -> ScoreReceipt:
    meter = StageMeter()
    with options.engine.open(-(-owed.rows // options.partition_rows)) as executor:
        with meter.measure("plan"):
            plan = found or _plan(lake, owed, run_id=run_id, now=now, options=options)
            clear_staging(lake, plan)
            save_plan(lake, plan)
        with meter.measure("score"):
            receipts = run_partitions(lake, plan, executor, on_progress=_count_up(options.on_progress, plan))
    meter.add_workers("score", receipts)
    check_failures(plan, receipts, limit=options.unscored_share_limit)
    with meter.measure("publish"):
        ended_at = now + timedelta(seconds=meter.seconds)
        run = publish_scores(lake, plan, receipts, ended_at=ended_at, stages=meter.stages)
    _log.info("scored model=%s rows=%d seconds=%.2f", plan.request.model, run.rows_out, meter.seconds)
    seconds = {name: stage["seconds"] for name, stage in meter.stages.items()}
    return _build_receipt(plan, receipts, run, seconds=seconds, is_resumed=found is not None)


def _plan(lake: Lake, owed: Owed, *, run_id: str, now: datetime, options: ScoreOptions) -> ScorePlan:
    model = owed.request.model
    versions = [
        resolve_again(lake, model, part.version) if part.version else resolve(lake, model) for part in owed.parts
    ]
    return build_plan(lake, versions, owed, run_id=run_id, started_at=now, partition_rows=options.partition_rows)


def _claim(lake: Lake, owed: Owed, run_id: str, now: datetime, *, is_holder_dead: bool) -> None:
    """Take the lease for a run, if what is owed is still owed."""

    def claim(connection: "duckdb.DuckDBPyConnection") -> None:
        take_lease(connection, owed.request.lease, run_id=run_id, now=now, is_holder_dead=is_holder_dead)
        check_overtaken(connection, owed.request, run_id, owed.watermark)

    with write_lake(lake, purpose=f"lease {owed.request.lease} for {run_id}") as connection:
        run_transaction(connection, claim)


def _release(lake: Lake, request: ScoreRequest, run_id: str) -> None:
    with write_lake(lake, purpose=f"release {request.lease}") as connection:
        run_transaction(connection, lambda connection: release_lease(connection, request.lease, run_id))


def _count_up(on_progress: OnProgress, plan: ScorePlan) -> Callable[[int], None]:
    done = 0

    def count_up(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(done, plan.rows)

    return count_up


def _build_receipt(
    plan: ScorePlan, receipts: Sequence["PartitionReceipt"], run: Run, *, seconds: dict[str, float], is_resumed: bool
) -> ScoreReceipt:
    return ScoreReceipt(
        request=plan.request,
        run_id=plan.run_id,
        versions=tuple(scorer.version for scorer in plan.scorers),
        rows_owed=plan.rows,
        rows_scored=run.rows_out or 0,
        data_version=plan.data_version,
        seconds=seconds,
        is_resumed=is_resumed,
        batches_ahead=plan.batches_ahead,
        rows_expired=sum(receipt.rows_expired for receipt in receipts),
        rows_unscored=sum(receipt.rows_unscored for receipt in receipts),
    )
