"""The steps that bring the features up to date with the raw tables: what is owed, or a few channels anew.

The features themselves are the `.sql` files beside this module; retrieving them is Feast's work.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Unavailable
from feature_repo.features import comments, windows
from feature_repo.features.statements import (
    Literals,
    build_resolved,
    build_statement,
    copy_rows,
    create_table,
    has_rows,
    read_statement,
    write_instant,
)
from feature_repo.lake import Lake, quote_name, quote_text, read_lake, write_lake
from feature_repo.ledger import (
    Run,
    read_data_version,
    read_materialized_until,
    read_materialized_version,
    read_reverted_version,
)
from feature_repo.leftovers import open_staging
from feature_repo.publication import Publication, publish_run
from feature_repo.tables.features import (
    CHANNEL_FEATURES,
    CHANNEL_LABELS,
    CHANNEL_STATISTICS,
    COMMENT_FEATURES,
    VIDEO_STATISTICS,
)

if TYPE_CHECKING:
    import duckdb
    from pandera.pandas import DataFrameSchema

    Build = Callable[["duckdb.DuckDBPyConnection", Literals], str]

Say = Callable[[str], None]

_log = logging.getLogger(__name__)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Owed:
    """What a materialization has to bring in: batches above < ingest_seq <= upto, and hours since < hour <= until."""

    above: int
    upto: int
    since: datetime | None
    until: datetime

    @property
    def is_nothing(self) -> bool:
        """Whether there is neither a new batch nor a new hour."""
        return self.upto == self.above and self.since == self.until

    def write(self) -> Literals:
        """The bounds as literals; before the first materialization no time has passed unseen."""
        return {
            "above": self.above,
            "upto": self.upto,
            "since": write_instant(self.since or self.until),
            "until": write_instant(self.until),
        }


@dataclass(frozen=True, slots=True)
class MaterializeReceipt:
    """What a materialization did: what was owed, rows added per table, seconds; no tables if nothing was owed."""

    run_id: str
    owed: Owed
    rows: dict[str, int]
    seconds: float


def materialize_features(lake: Lake, *, run_id: str, now: datetime, say: Say = lambda _: None) -> MaterializeReceipt:
    """Compute and append the feature rows that are owed: by new batches, and by the hours that have passed.

    The rows are computed from a snapshot without the writer lock; under the lock they are registered only
    if nothing has happened to the features meanwhile (`Unavailable` otherwise; the next call has less to do).
    Running it again at the same hour changes nothing; killed at any point, the next call does the work.

    Parameters
    ----------
    now
        The windows are written up to its hour, or to that of the newest observation if that is later.
    say
        Told which table is being computed.
    """
    started = perf_counter()
    with open_staging(lake, run_id) as staging:
        with read_lake(lake) as connection:
            owed = _read_owed(connection, now)
            rows = {} if owed.is_nothing else _stage_features(connection, staging, owed, say)
        receipt = MaterializeReceipt(run_id, owed, rows, perf_counter() - started)
        if not owed.is_nothing:
            publish_features(lake, staging, receipt, now)
    return receipt


def publish_features(lake: Lake, staging: Path, receipt: MaterializeReceipt, now: datetime) -> None:
    """Publish staged features as one; raises `Unavailable` if features or inputs have moved on since."""
    owed = receipt.owed
    files = {table: [str(_stage(staging, table))] for table, rows in receipt.rows.items() if rows}
    with write_lake(lake, purpose=f"materialize {receipt.run_id}") as connection:
        if (read_materialized_version(connection), read_materialized_until(connection)) != (owed.above, owed.since):
            raise Unavailable("another materialization finished first; run it again, there is less to do now")
        if read_reverted_version(connection) > owed.upto:
            raise Unavailable("a batch was taken back meanwhile; run it again")
        publish_run(connection, lake, Publication(_build_run(receipt, now), f"data_version={owed.upto}", files))
    _log.info("materialized rows=%s data_version=%d seconds=%.2f", receipt.rows, owed.upto, receipt.seconds)


def rebuild_features(
    connection: "duckdb.DuckDBPyConnection", *, channel_ids: Sequence[str], comment_ids: Sequence[str]
) -> None:
    """Compute the features of some channels and comments anew, within the caller's transaction.

    For batches that are taken back: they leave no trace in what rests on them.
    """
    until = read_materialized_until(connection)
    if until is None:
        return
    bounds = Owed(0, read_materialized_version(connection), until, until).write()
    _prepare(connection, bounds)
    # Rows without tokens are of expired texts: they cannot be computed anew, and stay.
    _delete(connection, COMMENT_FEATURES, comment_ids, only="token_ids_v1 is not null")
    _insert(connection, COMMENT_FEATURES, comments.build_anew(connection, comment_ids, bounds))
    # Windows go on from the rows that are there: hence none are left before they are computed.
    _delete(connection, CHANNEL_FEATURES, channel_ids)
    _insert(connection, CHANNEL_FEATURES, windows.build_anew(connection, channel_ids, bounds))
    _delete(connection, CHANNEL_LABELS, channel_ids)
    connection.execute(
        "create or replace temporary table labelled_channels as select unnest($ids::varchar[]) as channel_id",
        {"ids": list(channel_ids)},
    )
    _insert(connection, CHANNEL_LABELS, build_statement("channel_labels", bounds))


def _read_owed(connection: "duckdb.DuckDBPyConnection", now: datetime) -> Owed:
    above, upto = read_materialized_version(connection), read_data_version(connection)
    since = read_materialized_until(connection)
    newest = connection.execute(build_statement("newest_observation", {"above": above, "upto": upto})).fetchone()
    instants = [now, *(instant for instant in (*(newest or ()), since) if instant is not None)]
    return Owed(above, upto, since, _truncate(max(instants)))


def _truncate(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def _stage_features(connection: "duckdb.DuckDBPyConnection", staging: Path, owed: Owed, say: Say) -> dict[str, int]:
    bounds = owed.write()
    rows = {}
    _prepare(connection, bounds)
    for table, build in _STAGES.items():
        say(table)
        rows[table] = copy_rows(connection, build(connection, bounds), _stage(staging, table))
        if table == COMMENT_FEATURES.name:
            _show_comment_features(connection, _stage(staging, table))
    return rows


def _stage(staging: Path, table: str) -> Path:
    return staging / f"{table.split('.')[1]}.parquet"


def _prepare(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> None:
    """Show the texts with their channels and hours, and the comment features there are."""
    connection.execute(read_statement("ceil_hour"))
    create_table(connection, "resolved_videos", build_statement("resolved_videos", bounds))
    resolved = build_statement("resolved_texts", bounds, comments="from raw.comments")
    connection.execute(f"create or replace temporary view resolved_texts as {resolved}")
    placed = build_statement("placed_texts", {}, texts="from resolved_texts")
    connection.execute(f"create or replace temporary view placed_texts as {placed}")
    create_table(connection, "moved_videos", build_statement("moved_videos", bounds))
    _show_comment_features(connection)


def _show_comment_features(connection: "duckdb.DuckDBPyConnection", staged: Path | None = None) -> None:
    """Give the channel windows the comment features they rest on, those just staged among them."""
    columns = "comment_id, text_id, event_timestamp, is_reply, capital_share, url_count, ingest_seq"
    sql = f"select {columns} from features.comment_features"  # noqa: S608 - our own names
    if staged is not None:
        sql += f" union all select {columns} from read_parquet({quote_text(str(staged))})"  # noqa: S608 - our own SQL
    connection.execute(f"create or replace temporary view comment_features_now as {sql}")


def _build_labels(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    query = build_statement("channel_labels", bounds)
    create_table(connection, "labelled_comments", build_statement("labelled_comments", bounds))
    texts = build_resolved("comment_id", "labelled_comments", bounds)
    channels = build_statement("labelled_channels", bounds, labelled_texts=texts)
    # Most hours bring no label, and then no comment need be looked for.
    is_needed = has_rows(connection, "labelled_comments")
    create_table(connection, "labelled_channels", channels if is_needed else f"{channels} limit 0")
    return query if is_needed else f"{query} limit 0"


# In the order in which they are computed: the windows rest on the features of the comments.
_STAGES: Final[dict[str, "Build"]] = {
    str(COMMENT_FEATURES.name): comments.build_owed,
    str(CHANNEL_FEATURES.name): windows.build_changed,
    str(CHANNEL_STATISTICS.name): lambda _, bounds: build_statement("channel_statistics", bounds),
    str(VIDEO_STATISTICS.name): lambda _, bounds: build_statement("video_statistics", bounds),
    str(CHANNEL_LABELS.name): _build_labels,
}


def _delete(
    connection: "duckdb.DuckDBPyConnection", table: "DataFrameSchema", ids: Sequence[str], *, only: str = "true"
) -> None:
    """Delete the rows whose first key column is among some ids."""
    name, key = quote_name(str(table.name)), quote_name(table.unique[0])
    connection.execute(f"delete from {name} where list_contains($ids, {key}) and {only}", {"ids": list(ids)})  # noqa: S608 - our names


def _insert(connection: "duckdb.DuckDBPyConnection", table: "DataFrameSchema", query: str) -> None:
    connection.execute(f"insert into {quote_name(str(table.name))} by name {query}")


def _build_run(receipt: MaterializeReceipt, now: datetime) -> Run:
    return Run(
        run_id=receipt.run_id,
        kind="materialize",
        started_at=now,
        ended_at=now + timedelta(seconds=receipt.seconds),
        rows_out=sum(receipt.rows.values()),
        watermark_from=receipt.owed.above,
        data_version=receipt.owed.upto,
        until_at=receipt.owed.until,
        stage_seconds={"compute": receipt.seconds},
        details=receipt.rows,
    )
