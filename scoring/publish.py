"""Publication of scores: recheck under the lock, then files, ledger row and current rows as one."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, quote_name, write_lake
from feature_repo.ledger import Run, read_watermark
from feature_repo.publication import Publication, publish_run
from scoring.lease import holds_lease, release_lease
from scoring.worker import locate_log

if TYPE_CHECKING:
    import duckdb

    from scoring.plan import ScorePlan
    from scoring.worker import PartitionReceipt

_HERE: Final = Path(__file__).parent


def publish_scores(
    lake: Lake,
    plan: "ScorePlan",
    receipts: Sequence["PartitionReceipt"],
    *,
    ended_at: datetime,
    stage_seconds: Mapping[str, float],
) -> Run:
    """Publish a finished run as one: its files, its ledger row (the new watermark) and the current rows.

    Raises `Unavailable`, and publishes nothing, if the lease or the watermark has moved since planning.
    """
    run = _build_run(plan, receipts, ended_at=ended_at, stage_seconds=stage_seconds)
    scored = [Path(receipt.file) for receipt in receipts if receipt.rows]
    files = {f"scores.{plan.owed.model}": scored, "monitoring.feature_log": [locate_log(file) for file in scored]}
    with write_lake(lake, purpose=f"publish {plan.run_id}") as connection:
        check_still_owed(connection, plan)

        def within(connection: "duckdb.DuckDBPyConnection") -> None:
            replace_current(connection, plan.owed.model, plan.run_id)
            release_lease(connection, plan.lease, plan.run_id)

        publish_run(connection, lake, Publication(run, f"scored_on={plan.started:%Y-%m-%d}", files), within)
    shutil.rmtree(plan.staging)
    return run


def replace_current(connection: "duckdb.DuckDBPyConnection", model: str, run_id: str) -> None:
    """Bring `scores.<model>_current` up to date with what a run scored, within the caller's transaction."""
    current = quote_name(f"scores.{model}_current")
    rows = _read_sql("current.sql", model)
    connection.execute(f"create or replace temporary table refreshed as {rows}", {"run_id": run_id})
    connection.execute(f"delete from {current} where comment_id in (select comment_id from refreshed)")  # noqa: S608
    connection.execute(f"insert into {current} by name from refreshed")
    connection.execute("drop table refreshed")


def withdraw_current(connection: "duckdb.DuckDBPyConnection", model: str) -> None:
    """Take rows out of `scores.<model>_current` whose text has been taken back, within the caller's transaction.

    Where an earlier text of the comment is left and was scored, its score is in force again. The history
    in `scores.<model>` stays: it is what was said.
    """
    current = quote_name(f"scores.{model}_current")
    connection.execute(
        "create or replace temporary table withdrawn as "  # noqa: S608 - quoted names
        f"select comment_id from {current} anti join raw.comments using (comment_id, text_id)"
    )
    connection.execute(f"delete from {current} where comment_id in (select comment_id from withdrawn)")  # noqa: S608
    connection.execute(f"insert into {current} by name {_read_sql('withdrawn.sql', model)}")
    connection.execute("drop table withdrawn")


def _read_sql(file: str, model: str) -> str:
    names = {"{history}": quote_name(f"scores.{model}"), "{current}": quote_name(f"scores.{model}_current")}
    sql = (_HERE / file).read_text()
    for mark, name in names.items():
        sql = sql.replace(mark, name)
    return sql


def check_still_owed(connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan") -> None:
    """Check that the watermark is where the plan began and that its lease is held; raises `Unavailable`."""
    watermark = read_watermark(connection, plan.owed.model, plan.owed.role)
    if watermark != plan.owed.watermark or not holds_lease(connection, plan.lease, plan.run_id):
        raise Unavailable(
            f"run {plan.run_id} was overtaken: the watermark of {plan.lease} is {watermark}, planned from "
            f"{plan.owed.watermark}; nothing was published, and the next run does what is owed then"
        )


def _build_run(
    plan: "ScorePlan",
    receipts: Sequence["PartitionReceipt"],
    *,
    ended_at: datetime,
    stage_seconds: Mapping[str, float],
) -> Run:
    worker_seconds = {
        f"worker_{stage}": sum(receipt.seconds.get(stage, 0.0) for receipt in receipts)
        for stage in ("read", "predict", "write")
    }
    return Run(
        run_id=plan.run_id,
        kind="score",
        model=plan.owed.model,
        model_version=plan.model_version,
        role=plan.owed.role,
        started_at=plan.started,
        ended_at=ended_at,
        rows_owed=plan.owed.rows,
        rows_out=sum(receipt.rows for receipt in receipts),
        watermark_from=plan.owed.watermark,
        data_version=plan.owed.data_version,
        stage_seconds={**stage_seconds, **worker_seconds},
        details={"partitions": len(receipts), "rows_expired": sum(receipt.rows_expired for receipt in receipts)},
    )
