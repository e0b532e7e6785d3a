"""Publication of scores: recheck under the lock, then files, ledger row and scores in force as one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Refused, Unavailable
from feature_repo.lake import Lake, write_lake
from feature_repo.ledger import Run, read_watermark
from feature_repo.publication import Publication, publish_run
from feature_repo.tables.monitoring import FEATURE_LOG as FEATURE_LOG_TABLE
from feature_repo.tables.monitoring import UNSCORED as UNSCORED_TABLE
from scoring.current import replace_current, settle_current
from scoring.lease import holds_lease, release_lease
from scoring.plan import locate_staged
from scoring.staged import FEATURE_LOG, SCORES, UNSCORED
from training.promotions import read_assignment

if TYPE_CHECKING:
    import duckdb

    from scoring.owed import ScoreRequest
    from scoring.plan import ScorePlan
    from scoring.staged import PartitionReceipt

_TABLES: Final = {FEATURE_LOG: str(FEATURE_LOG_TABLE.name), UNSCORED: str(UNSCORED_TABLE.name)}


def publish_scores(
    lake: Lake,
    plan: "ScorePlan",
    receipts: Sequence["PartitionReceipt"],
    *,
    ended_at: datetime,
    stages: Mapping[str, Mapping[str, float]],
) -> Run:
    """Publish a finished run as one: its files, its ledger row (the new watermark) and the scores in force.

    Parameters
    ----------
    stages
        What each stage took: seconds, and whatever else is known of it.

    Raises
    ------
    Unavailable
        If the lease or the watermark has moved since planning. Nothing is published.
    """
    with write_lake(lake, purpose=f"publish {plan.run_id}") as connection:
        check_overtaken(connection, plan.request, plan.run_id, plan.watermark)
        role = _read_role(connection, plan)
        run = _build_run(plan, receipts, role=role, ended_at=ended_at, stages=stages)

        def within(connection: "duckdb.DuckDBPyConnection") -> None:
            _put_in_force(connection, plan, role)
            release_lease(connection, plan.request.lease, plan.run_id)

        files = _list_files(plan, receipts)
        publish_run(connection, lake, Publication(run, f"scored_on={plan.started_at:%Y-%m-%d}", files), within)
    lake.storage.delete(locate_staged(lake, plan.run_id))
    return run


def check_overtaken(
    connection: "duckdb.DuckDBPyConnection", request: "ScoreRequest", run_id: str, watermark: int
) -> None:
    """Check that a run holds the lease and, for production, that the watermark is where the run began.

    Nothing else can have scored its rows: shadows and backfills stay below production's watermark, and of each there
    is one at a time. Raises `Unavailable`.
    """
    found = read_watermark(connection, request.model) if request.role == "production" else watermark
    if found != watermark or not holds_lease(connection, request.lease, run_id):
        raise Unavailable(
            f"run {run_id} was overtaken: the watermark of {request.lease} is {found}, planned from {watermark}; "
            "nothing was published, and the next run does what is owed then"
        )


def check_failures(plan: "ScorePlan", receipts: Sequence["PartitionReceipt"], *, limit: float) -> None:
    """Check that the model has failed at no more than a share of the rows; raises `Refused`."""
    failed = sum(receipt.rows_unscored for receipt in receipts)
    if failed > limit * plan.rows:
        raise Refused(
            f"{plan.request.model} failed at {failed} of {plan.rows} comments, more than the share of {limit} that "
            "SCORELAKE_UNSCORED_SHARE_LIMIT allows. Nothing was published; roll back or train, and they are still owed"
        )


def _list_files(plan: "ScorePlan", receipts: Sequence["PartitionReceipt"]) -> dict[str, list[str]]:
    tables = {SCORES: f"scores.{plan.request.model}", **_TABLES}
    return {
        table: [receipt.files[kind] for receipt in receipts if kind in receipt.files] for kind, table in tables.items()
    }


def _read_role(connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan") -> str:
    """The role in which the run has scored: a backfill by a version that is nowhere in force is a shadow."""
    request, assigned = plan.request, read_assignment(connection, plan.request.model)
    if request.role == "backfill" and request.version not in {None, assigned.champion, assigned.canary}:
        return "shadow"
    return request.role


def _put_in_force(connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan", role: str) -> None:
    if role == "production":
        replace_current(connection, plan.request.model, plan.run_id, above=plan.watermark)
    elif role == "backfill":
        settle_current(connection, plan.request.model, plan.run_id)


def _build_run(
    plan: "ScorePlan",
    receipts: Sequence["PartitionReceipt"],
    *,
    role: str,
    ended_at: datetime,
    stages: Mapping[str, Mapping[str, float]],
) -> Run:
    request = plan.request
    return Run(
        run_id=plan.run_id,
        kind="score",
        model=request.model,
        model_version=plan.scorers[0].version,
        role=role,
        started_at=plan.started_at,
        ended_at=ended_at,
        rows_owed=plan.rows,
        rows_out=sum(receipt.rows for receipt in receipts),
        rows_quarantined=sum(receipt.rows_unscored for receipt in receipts),
        # A backfill looks at all that production has done: it has no place from which the next one would go on.
        watermark_from=None if request.role == "backfill" else plan.watermark,
        data_version=plan.data_version,
        stage_seconds={name: stage["seconds"] for name, stage in stages.items()} | _sum_seconds(receipts),
        cpu_seconds=sum(stage.get("cpu_seconds", 0.0) for stage in stages.values()),
        bytes_written=sum(receipt.bytes_written for receipt in receipts),
        details={
            "partitions": len(receipts),
            "rows_expired": sum(receipt.rows_expired for receipt in receipts),
            "rows_by_version": _count_by_version(plan, receipts),
            "stages": stages,
        },
    )


def _sum_seconds(receipts: Sequence["PartitionReceipt"]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for receipt in receipts:
        total.update(receipt.seconds)
    return {f"worker_{stage}": seconds for stage, seconds in total.items()}


def _count_by_version(plan: "ScorePlan", receipts: Sequence["PartitionReceipt"]) -> dict[str, int]:
    scorers = {partition.index: plan.scorers[partition.scorer] for partition in plan.partitions}
    rows: Counter[str] = Counter()
    for receipt in receipts:
        rows[scorers[receipt.index].version] += receipt.rows
    return dict(rows)
