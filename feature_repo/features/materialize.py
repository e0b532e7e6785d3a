"""The step that computes the features of what is new in the raw tables and appends them to the lake.

The features themselves are the `.sql` files beside this module; retrieving them is Feast's work.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import Run, read_data_version, read_materialized_version
from feature_repo.publication import Publication, publish_run
from feature_repo.retrieval import build_spine

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)
_HERE: Final = Path(__file__).parent
_TABLES: Final = ("features.comment_features", "features.channel_features")


@dataclass(frozen=True, slots=True)
class MaterializeReceipt:
    """What a materialization did: rows per table, and the data versions it went from and to."""

    run_id: str
    data_version_from: int
    data_version: int
    rows: dict[str, int]
    seconds: float


def materialize_features(lake: Lake, *, run_id: str, now: datetime) -> MaterializeReceipt:
    """Compute and append the feature rows that are owed: inputs above the last materialized data version.

    The rows are computed from a snapshot without the writer lock; under the lock they are registered only
    if no other materialization came first (`Unavailable` otherwise; the next call has less to do).
    Running it again without new data changes nothing.
    """
    started = perf_counter()
    staging = lake.staging / run_id
    try:
        with read_lake(lake) as connection:
            above, upto = read_materialized_version(connection), read_data_version(connection)
            rows = _stage_features(connection, staging, above, upto) if upto > above else {}
        receipt = MaterializeReceipt(run_id, above, upto, rows, perf_counter() - started)
        if upto > above:
            publish_features(lake, staging, receipt, now)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return receipt


def read_text_features_sql() -> str:
    """SQL of the text features, over a relation `texts` with a column `text`."""
    return (_HERE / "text.sql").read_text()


def _stage_features(connection: "duckdb.DuckDBPyConnection", staging: Path, above: int, upto: int) -> dict[str, int]:
    staging.mkdir(parents=True)
    bounds = {"above": above, "upto": upto}
    text_sql = (_HERE / "comment_features.sql").read_text().replace("{text_features}", read_text_features_sql())
    comment_rows = _copy(connection, text_sql, staging / "comment_features.parquet", bounds)
    _show_comment_features(connection, staging / "comment_features.parquet")
    channel_rows = _copy(connection, _read_channel_sql(upto), staging / "channel_features.parquet", bounds)
    return dict(zip(_TABLES, (comment_rows, channel_rows), strict=True))


def _read_channel_sql(upto: int) -> str:
    return (_HERE / "channel_features.sql").read_text().replace("{spine}", build_spine(data_version=upto))


def _show_comment_features(connection: "duckdb.DuckDBPyConnection", staged: Path | None = None) -> None:
    """Give the channel windows the comment features they rest on, those just staged among them."""
    columns = "comment_id, text_id, is_reply, capital_share, url_count, ingest_seq"
    sql = f"select {columns} from features.comment_features"  # noqa: S608 - our own names
    if staged is not None:
        file = str(staged).replace("'", "''")
        sql += f" union all select {columns} from read_parquet('{file}')"  # noqa: S608 - our own SQL
    connection.execute(f"create or replace temporary view comment_features_now as {sql}")


def _copy(connection: "duckdb.DuckDBPyConnection", sql: str, file: Path, bounds: dict[str, int]) -> int:
    used = {name: bound for name, bound in bounds.items() if f"${name}" in sql}
    target = str(file).replace("'", "''")
    copied = connection.execute(f"copy ({sql}) to '{target}' (format parquet, compression zstd)", used).fetchone()
    return int(copied[0]) if copied else 0


def rebuild_channels(connection: "duckdb.DuckDBPyConnection", channel_ids: Sequence[str]) -> None:
    """Compute all windows of some channels anew, within the caller's transaction.

    For batches that are taken back: their comments leave no trace in the windows.
    """
    upto = read_materialized_version(connection)
    _show_comment_features(connection)
    connection.execute(
        "delete from features.channel_features where list_contains($channel_ids, channel_id)",
        {"channel_ids": list(channel_ids)},
    )
    connection.execute(
        f"insert into features.channel_features by name select * from ({_read_channel_sql(upto)}) "  # noqa: S608 - our own names
        "where list_contains($channel_ids, channel_id)",
        {"above": 0, "upto": upto, "channel_ids": list(channel_ids)},
    )


def publish_features(lake: Lake, staging: Path, receipt: MaterializeReceipt, now: datetime) -> None:
    """Publish staged features as one; raises `Unavailable` if the features have moved on since."""
    files = {table: [staging / f"{table.split('.')[1]}.parquet"] for table, rows in receipt.rows.items() if rows}
    with write_lake(lake, purpose=f"materialize {receipt.run_id}") as connection:
        if read_materialized_version(connection) != receipt.data_version_from:
            raise Unavailable("another materialization finished first; run it again, there is less to do now")
        partition = f"data_version={receipt.data_version}"
        publish_run(connection, lake, Publication(_build_run(receipt, now), partition, files))
    _log.info("materialized rows=%s data_version=%d seconds=%.2f", receipt.rows, receipt.data_version, receipt.seconds)


def _build_run(receipt: MaterializeReceipt, now: datetime) -> Run:
    return Run(
        run_id=receipt.run_id,
        kind="materialize",
        started_at=now,
        ended_at=now + timedelta(seconds=receipt.seconds),
        rows_out=sum(receipt.rows.values()),
        watermark_from=receipt.data_version_from,
        data_version=receipt.data_version,
        stage_seconds={"compute": receipt.seconds},
        details=receipt.rows,
    )
