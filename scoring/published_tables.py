"""The tables of the published file: those of the lake that analysts read, and what they were made of.

Beside a lake that is attached for reading, the file is attached as `published`. Texts stay in the lake.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from feature_repo.contracts import TABLES, build_dictionary, read_sql_types
from feature_repo.errors import Unavailable
from feature_repo.lake import quote_name, quote_text
from feature_repo.snapshots import Snapshot, is_kept_since, read_changed_tables, read_snapshot, select_changes
from feature_repo.tables.columns import BIGINT, INSTANT, TEXT, column, table
from feature_repo.tables.scores import build_score_tables
from training.spec import list_specs, read_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandera.pandas import DataFrameSchema

PUBLICATION: Final = table(
    "ops.publication",
    "What this file was made of: one row.",
    ("snapshot_id",),
    {
        "snapshot_id": column(BIGINT, "Snapshot of the lake."),
        "snapshot_at": column(INSTANT, "When the snapshot was committed (UTC)."),
        "declarations": column(TEXT, "SHA-256 of the declarations of the tables."),
        "updates": column(BIGINT, "How often it has been brought up to date since it was written whole."),
    },
)
# Each update leaves some room unused where rows were deleted; a file written whole has none.
_MOST_UPDATES: Final = 50
_OTHERS: Final = ("ops.runs", "ops.promotions", "monitoring.drift")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a published file was made of: a snapshot, by so many updates of one that was written whole."""

    snapshot: Snapshot
    updates: int


def list_published() -> "tuple[DataFrameSchema, ...]":
    """Declarations of the tables that are published: all of scores, and what tells where they come from."""
    scores = (table for name in list_specs() for table in build_score_tables(name, read_spec(name).classes))
    others = (table for table in TABLES if table.name in _OTHERS or str(table.name).startswith("scores."))
    return (*scores, *others)


def find_origin(connection: duckdb.DuckDBPyConnection, file: Path) -> Origin | None:
    """Read what a published file was made of; None if the next one cannot be made of it, or there is none."""
    try:
        with duckdb.connect(str(file), read_only=True) as published:
            row = published.execute(
                "select snapshot_id, snapshot_at, updates from ops.publication where declarations = ? and updates < ?",
                [_digest(list_published()), _MOST_UPDATES],
            ).fetchone()
    except duckdb.Error:
        return None
    origin = Origin(Snapshot(*row[:2]), row[2]) if row else None
    return origin if origin and is_kept_since(connection, origin.snapshot) else None


def create_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Create every table with all its rows, within the caller's transaction; returns the rows by table."""
    rows = {str(table.name): _create(connection, table, f"from lake.{_quote(table)}") for table in list_published()}
    _write_origin(connection, Origin(read_snapshot(connection), updates=0))
    return rows


def replace_changes(connection: duckdb.DuckDBPyConnection, origin: Origin) -> dict[str, int]:
    """Replace the rows that have changed since a file was made, within the caller's transaction.

    Returns the rows written, by changed table. Raises `Unavailable` if the changes since then do not lead to as many
    rows as the lake has, or snapshots are being given up.
    """
    if not is_kept_since(connection, origin.snapshot):
        raise Unavailable("snapshots were given up while the file was made")
    until = read_snapshot(connection)
    if until == origin.snapshot:
        return {}
    changed = read_changed_tables(connection, origin.snapshot)
    tables = [table for table in list_published() if str(table.name).split(".")[1] in changed]
    rows = {str(table.name): _replace(connection, table, origin.snapshot, until) for table in tables}
    _write_origin(connection, Origin(until, origin.updates + 1))
    return rows


def _create(connection: duckdb.DuckDBPyConnection, table: "DataFrameSchema", source: str) -> int:
    """Create a table with the rows of a query, and with the comments of its declaration."""
    name = f"published.{_quote(table)}"
    connection.execute(f"create schema if not exists {name.rpartition('.')[0]}")
    created = connection.execute(f"create or replace table {name} as {source}").fetchall()
    connection.execute(f"comment on table {name} is {quote_text(str(table.description))}")
    for column_name, declared in table.columns.items():
        text = quote_text(str(declared.description))
        connection.execute(f"comment on column {name}.{quote_name(column_name)} is {text}")
    return int(created[0][0])


def _replace(connection: duckdb.DuckDBPyConnection, table: "DataFrameSchema", since: Snapshot, until: Snapshot) -> int:
    """Replace the rows of every changed key by those that the lake has now.

    Not by those in the changes: a compaction shows survivors as changes, and a row that was replaced and then deleted
    in one transaction looks like one that was only replaced.
    """
    name, keys = _quote(table), [quote_name(key) for key in table.unique]
    key = ", ".join(keys)
    changes = select_changes(str(table.name), since, until)
    same = " and ".join(f"earlier.{one} = changed.{one}" for one in keys)
    for statement in (
        f"create or replace temporary table changed as select distinct {key} from {changes}",  # noqa: S608 - quoted names
        f"delete from published.{name} as earlier using changed where {same}",  # noqa: S608 - quoted names
        f"insert into published.{name} by name select * from lake.{name} semi join changed using ({key})",  # noqa: S608 - quoted names
    ):
        written = int(connection.execute(statement).fetchall()[0][0])
    if _count(connection, f"published.{name}") != _count(connection, f"lake.{name}"):
        raise Unavailable(f"the changes of {table.name} do not lead to as many rows as the lake has")
    return written


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    return int(connection.execute(f"select count(*) from {name}").fetchall()[0][0])  # noqa: S608 - a quoted name


def _write_origin(connection: duckdb.DuckDBPyConnection, origin: Origin) -> None:
    values = {
        "snapshot_id": f"{origin.snapshot.id:d}",
        "snapshot_at": quote_text(origin.snapshot.committed_at.isoformat()),
        "declarations": quote_text(_digest(list_published())),
        "updates": f"{origin.updates:d}",
    }
    types = read_sql_types(PUBLICATION).items()
    row = ", ".join(f"cast({values[name]} as {sql_type}) as {quote_name(name)}" for name, sql_type in types)
    _create(connection, PUBLICATION, f"select {row}")


def _digest(tables: "Sequence[DataFrameSchema]") -> str:
    return hashlib.sha256(build_dictionary(tables).encode()).hexdigest()


def _quote(table: "DataFrameSchema") -> str:
    return quote_name(str(table.name))
