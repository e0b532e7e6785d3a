"""Snapshots of the lake: which one a transaction reads, and where to look for what changed since an earlier one.

Beside `lake` and `upkeep` this knows DuckLake. What is made of the changes is for their readers to decide.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.lake import quote_text

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of the lake: its number, and when it was committed (UTC), which tells it from another lake's."""

    id: int
    committed_at: datetime


def read_snapshot(connection: "duckdb.DuckDBPyConnection") -> Snapshot:
    """Read the snapshot that the caller's transaction sees."""
    row = connection.execute(
        "select snapshot_id, snapshot_time from ducklake_snapshots('lake') order by snapshot_id desc limit 1"
    ).fetchall()[0]
    return Snapshot(*row)


def is_kept_since(connection: "duckdb.DuckDBPyConnection", snapshot: Snapshot) -> bool:
    """Whether this lake has the snapshot and every one after it, without which changes would be missed."""
    found = connection.execute(
        "select snapshot_id, snapshot_time from ducklake_snapshots('lake') where snapshot_id >= ? order by snapshot_id",
        [snapshot.id],
    ).fetchall()
    return bool(found) and Snapshot(*found[0]) == snapshot and found[-1][0] - snapshot.id == len(found) - 1


def read_changed_tables(connection: "duckdb.DuckDBPyConnection", since: Snapshot) -> set[str]:
    """Names, without their schemas, of the tables that were written to after a snapshot."""
    found = connection.execute(
        "select table_name from ducklake_table_info('lake') where table_id::varchar in ("
        "select unnest(flatten(map_values(changes))) from ducklake_snapshots('lake') where snapshot_id > ?)",
        [since.id],
    ).fetchall()
    return {name for (name,) in found}


def select_changes(table: str, since: Snapshot, until: Snapshot) -> str:
    """Build the relation of the rows of a table that were deleted or inserted after one snapshot, up to another.

    One row per change, with its snapshot_id, rowid and change_type. Rows that were only written anew count as changed,
    too. `since` must be older than `until`.
    """
    schema, name = (quote_text(part) for part in table.split("."))
    return f"ducklake_table_changes('lake', {schema}, {name}, {since.id + 1:d}, {until.id:d})"
