"""Good candidates appended to the raw tables: what the lake does not know yet, and nothing twice.

Runs inside the caller's transaction, under the writer lock. The rules are in the `.sql` files beside this
module; which rows are good was decided by `candidates`.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.lake import quote_name
from feature_repo.sources.retention import restore_texts
from feature_repo.tables.raw import CHANNELS, COMMENT_COUNTS, LABELS, VIDEOS

if TYPE_CHECKING:
    import duckdb
    from pandera.pandas import DataFrameSchema

_log = logging.getLogger(__name__)

_FOLDER: Final = Path(__file__).parent
_BATCH_COLUMNS: Final = ("source", "batch_id", "ingest_seq")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of a batch bears, and the pattern of the file that its candidates lie in."""

    candidates: str
    kind: str
    source: str
    batch_id: str
    ingest_seq: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the good rows.

    `rows_accepted` of the `rows_arrived` are new; `rows_conflicting` are known, but with other values
    under the same key; `rows_written` counts the rows of all tables that features can rest on, expired texts that
    came back among them.
    """

    rows_arrived: int
    rows_accepted: int
    rows_conflicting: int
    rows_written: int
    labels_accepted: int = 0


def append_candidates(connection: "duckdb.DuckDBPyConnection", stamp: Stamp) -> Appended:
    """Append the good candidates of a batch to the tables of their kind; safe to repeat after a rollback."""
    if stamp.kind == "comments":
        return _append_comments(connection, stamp)
    if stamp.kind == "labels":
        return _append_labels(connection, stamp)
    return _append_observations(connection, stamp, {"videos": VIDEOS, "channels": CHANNELS}[stamp.kind])


def append_quarantine(connection: "duckdb.DuckDBPyConnection", stamp: Stamp) -> int:
    """Append the bad candidates to the quarantine; the number of those that were not there before."""
    return _run(connection, "append_quarantine", stamp)


def _append_comments(connection: "duckdb.DuckDBPyConnection", stamp: Stamp) -> Appended:
    arrived = _run(connection, "arrive_comments", stamp)
    comments = _run(connection, "append_comments", stamp)
    restored = restore_texts(connection, stamp) if _run(connection, "append_sightings", stamp) else 0
    counts = _run(connection, "append_counts", stamp)
    labels = _run(connection, "append_labels", stamp)
    return Appended(
        rows_arrived=arrived,
        rows_accepted=comments,
        rows_conflicting=_count_conflicts(connection, stamp, COMMENT_COUNTS, ("like_count", "reply_count"))
        + _count_conflicts(connection, stamp, LABELS, ("label",)),
        rows_written=comments + restored + counts + labels,
        labels_accepted=labels,
    )


def _append_labels(connection: "duckdb.DuckDBPyConnection", stamp: Stamp) -> Appended:
    arrived = _run(connection, "arrive_labels", stamp)
    labels = _run(connection, "append_labels", stamp)
    conflicting = _count_conflicts(connection, stamp, LABELS, ("label",))
    return Appended(arrived, labels, conflicting, labels, labels)


def _append_observations(connection: "duckdb.DuckDBPyConnection", stamp: Stamp, table: "DataFrameSchema") -> Appended:
    columns = tuple(name for name in table.columns if name not in _BATCH_COLUMNS)
    key, values = columns[0], tuple(name for name in columns[1:] if not name.endswith("observed_at"))
    told_instants = [name for name in ("observed_at", "published_at") if name in columns]
    arrived = _run(connection, "arrive_observations", stamp, {"told_instants": _list_names(told_instants)})
    accepted = _run(
        connection,
        "append_observations",
        stamp,
        {
            "table": quote_name(str(table.name)),
            "columns": _list_names(columns),
            "key": quote_name(key),
            "values": _list_names(values),
        },
    )
    return Appended(arrived, accepted, _count_conflicts(connection, stamp, table, values), accepted)


def _count_conflicts(
    connection: "duckdb.DuckDBPyConnection", stamp: Stamp, table: "DataFrameSchema", values: tuple[str, ...]
) -> int:
    return _run(
        connection,
        "count_conflicts",
        stamp,
        {
            "table": quote_name(str(table.name)),
            "key": _list_names(table.unique or ()),
            "arriving": _list_names(values, "arrivals."),
            "stored": _list_names(values, "stored."),
            "is_told": " or ".join(f"arrivals.{quote_name(name)} is not null" for name in values),
        },
    )


def _list_names(names: Iterable[str], owner: str = "") -> str:
    return ", ".join(owner + quote_name(name) for name in names)


def _run(
    connection: "duckdb.DuckDBPyConnection", name: str, stamp: Stamp, names: Mapping[str, str] | None = None
) -> int:
    """Run a statement with those of the stamp's values that it uses; the number that it returns."""
    sql = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").format(**names or {})
    values = {field: getattr(stamp, field) for field in Stamp.__slots__ if f"${field}" in sql}
    since = perf_counter()
    count = int(connection.execute(sql, values).fetchall()[0][0])
    _log.info("statement=%s batch=%s rows=%d seconds=%.3f", name, stamp.batch_id, count, perf_counter() - since)
    return count
