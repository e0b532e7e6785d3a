"""Taking a batch back: every row it brought, and the features made of these rows, in one transaction.

Features that rest on many batches are rebuilt by the caller, in the same transaction.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeAlias

from feature_repo import ledger
from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, run_transaction, write_lake
from feature_repo.tables.raw import CHANNELS, COMMENT_COUNTS, COMMENTS, LABELS, QUARANTINE, SIGHTINGS, VIDEOS

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_BATCH_TABLES: Final = tuple(
    str(table.name) for table in (COMMENTS, COMMENT_COUNTS, VIDEOS, CHANNELS, LABELS, SIGHTINGS, QUARANTINE)
)
_TOUCHED_CHANNELS: Final = (Path(__file__).parent / "touched_channels.sql").read_text(encoding="utf-8")
_TOUCHED_COMMENTS: Final = (Path(__file__).parent / "touched_comments.sql").read_text(encoding="utf-8")
_DELETE_FEATURES: Final = {
    "features.comment_features": """
delete from features.comment_features
where (comment_id, text_id) in (select (comment_id, text_id) from raw.comments where batch_id = ?)
""",
    "features.channel_statistics": """
delete from features.channel_statistics
where ingest_seq in (select ingest_seq from raw.channels where batch_id = ?)
""",
    "features.video_statistics": """
delete from features.video_statistics
where ingest_seq in (select ingest_seq from raw.videos where batch_id = ?)
""",
}
_FORGET_REPLAY: Final = "update raw.quarantine set replayed_batch_id = null where replayed_batch_id = ?"


@dataclass(frozen=True, slots=True)
class RevertReceipt:
    """What was taken back.

    `rows_deleted` counts by table. Features of `channel_ids`, and of `comment_ids` of other batches, rest on what
    is gone. `data_version` is the revert's own.
    """

    batch_id: str
    rows_deleted: Mapping[str, int]
    channel_ids: tuple[str, ...]
    comment_ids: tuple[str, ...]
    data_version: int


Within: TypeAlias = Callable[["duckdb.DuckDBPyConnection", RevertReceipt], None]


def revert_batch(
    lake: Lake, batch_id: str, *, run_id: str, now: datetime, within: Within | None = None
) -> RevertReceipt:
    """Delete the rows of a batch, its quarantined ones included, as if it had never been.

    Rows that other batches brought too, but found known, are gone as well until their files are ingested
    again. What a replay had accepted waits in the quarantine again if the replay is reverted.

    Parameters
    ----------
    batch_id
        An ingest or a replay.
    run_id
        Id of the revert.
    within
        Called with the open connection before the commit, for what must be rebuilt together; it may be
        called again if the commit is tried again.

    Raises
    ------
    BadData
        If there is no such batch, or it was reverted before.
    Unavailable
        If another writer holds the lake for too long.
    """
    since = perf_counter()

    def work(connection: "duckdb.DuckDBPyConnection") -> RevertReceipt:
        _check_batch(connection, batch_id)
        receipt = _delete_batch(connection, batch_id)
        if within:
            within(connection, receipt)
        ended_at = now + timedelta(seconds=perf_counter() - since)
        ledger.append_run(connection, _build_run(receipt, run_id, now, ended_at))
        return receipt

    with write_lake(lake, purpose=f"revert of batch {batch_id}") as connection:
        receipt = run_transaction(connection, work)
    _log.info("reverted=%s rows=%d", batch_id, sum(receipt.rows_deleted.values()))
    return receipt


def _check_batch(connection: "duckdb.DuckDBPyConnection", batch_id: str) -> None:
    runs = connection.execute(
        "select kind from ops.runs where (run_id = $batch_id and kind in ('ingest', 'replay')) "
        "or (kind = 'revert' and (details->>'reverts') = $batch_id)",
        {"batch_id": batch_id},
    ).fetchall()
    if not runs:
        raise BadData(f"no batch {batch_id}; `scorelake status` lists the batches")
    if ("revert",) in runs:
        raise BadData(f"the batch {batch_id} has been reverted already")


def _delete_batch(connection: "duckdb.DuckDBPyConnection", batch_id: str) -> RevertReceipt:
    channels, comments = (_read_ids(connection, sql, batch_id) for sql in (_TOUCHED_CHANNELS, _TOUCHED_COMMENTS))
    deleted = {table: _count(connection.execute(sql, [batch_id])) for table, sql in _DELETE_FEATURES.items()}
    for table in _BATCH_TABLES:
        sql = f"delete from {quote_name(table)} where batch_id = ?"  # noqa: S608 - names from the contracts
        deleted[table] = _count(connection.execute(sql, [batch_id]))
    connection.execute(_FORGET_REPLAY, [batch_id])
    version = ledger.read_data_version(connection) + 1
    return RevertReceipt(batch_id, deleted, channels, comments, version)


def _read_ids(connection: "duckdb.DuckDBPyConnection", sql: str, batch_id: str) -> tuple[str, ...]:
    return tuple(found for (found,) in connection.execute(sql, {"batch_id": batch_id}).fetchall())


def _count(result: "duckdb.DuckDBPyConnection") -> int:
    return int(result.fetchall()[0][0])


def _build_run(receipt: RevertReceipt, run_id: str, started_at: datetime, ended_at: datetime) -> ledger.Run:
    return ledger.Run(
        run_id=run_id,
        kind="revert",
        started_at=started_at,
        ended_at=ended_at,
        rows_out=sum(receipt.rows_deleted.values()),
        data_version=receipt.data_version,
        details={"reverts": receipt.batch_id, "rows_deleted": receipt.rows_deleted},
    )
