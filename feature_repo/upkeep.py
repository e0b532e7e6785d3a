"""Upkeep of the lake's files: small ones are merged, and what was deleted leaves the disk with its last snapshot.

Beside `lake` the only module that knows DuckLake. Which values are taken out of the tables, and when, is decided
by their owners; which files are small, by `compaction`; what runs left beside the lake's data, by `leftovers`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, quote_name, quote_text, run_transaction, write_lake

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_BOUNDS: Final = (Path(__file__).with_name("forget_bounds.sql")).read_text(encoding="utf-8")
_FILES: Final = (
    "select data_file, data_file_size_bytes, delete_file is not null from ducklake_list_files('lake', ?, schema => ?)"
)
_FILES_AND_DELETES: Final = (
    "select data_file, data_file_size_bytes, delete_file, delete_file_size_bytes "
    "from ducklake_list_files('lake', ?, schema => ?)"
)
# Rows that are read one after the other lie together: windows and batches are found by reading a part of a file.
_ORDERS: Final = ("event_timestamp", "ingest_seq", "scored_at")
_END_OF_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a table; `has_deleted` if rows in it are deleted."""

    path: str
    size_bytes: int
    has_deleted: bool


@dataclass(frozen=True, slots=True)
class PurgeReceipt:
    """What a purge did.

    Parameters
    ----------
    rows_moved
        Rows that were written into new files, because they shared a file with deleted ones.
    snapshots_expired
        Snapshots that cannot be gone back to any more.
    files_deleted
        Files that no kept snapshot needs; `orphans_deleted` of them belong to no snapshot at all.
    before
        Snapshots older than this are gone (UTC); None if all were given up but the present one.
    """

    rows_moved: int
    snapshots_expired: int
    files_deleted: int
    orphans_deleted: int
    before: datetime | None
    seconds: float


def list_files(connection: "duckdb.DuckDBPyConnection", table: str) -> list[DataFile]:
    """The files that a table consists of now, in the order in which they came."""
    schema, name = table.split(".")
    return [DataFile(*row) for row in connection.execute(_FILES, [name, schema]).fetchall()]


def find_broken_files(lake: Lake, connection: "duckdb.DuckDBPyConnection", table: str) -> list[str]:
    """The files of a table, its lists of deleted rows included, that are gone or of another size."""
    schema, name = table.split(".")
    rows = connection.execute(_FILES_AND_DELETES, [name, schema]).fetchall()
    named = {path: size for row in rows for path, size in (row[:2], row[2:]) if path}
    folder = f"{lake.storage.data}/{schema}/{name}"
    # Listed, where that is one question for many files; asked one by one if they are elsewhere.
    found = {file.address: file.size_bytes for file in lake.storage.list_files(folder)}
    return [path for path, size in named.items() if (found.get(path) or lake.storage.measure(path)) != size]


def measure_disk(lake: Lake) -> int:
    """Bytes of the lake's files and catalog, with what older snapshots need; files that go meanwhile do not count."""
    return lake.catalog.measure() + sum(file.size_bytes for file in lake.storage.list_files(lake.storage.data))


def purge_deleted(lake: Lake, columns: Mapping[str, Sequence[str]], *, before: datetime | None) -> PurgeReceipt:
    """Bring deleted and replaced values of some tables off the disk; safe to repeat, and to be killed in.

    What was deleted lately stays readable through older snapshots, up to `before`; a later purge takes it. No file
    that a reader may still need is touched if readers end within that time.

    Parameters
    ----------
    columns
        By table, the columns whose values must not outlive their rows in the catalog's statistics either.
    before
        Snapshots older than this are given up (UTC), except the present one; all of them if None, and whoever reads
        one of them then fails.

    Raises
    ------
    Unavailable
        If the catalog is being read for too long to be rewritten. The next purge does it.
    """
    since = perf_counter()
    until = before or _END_OF_TIME
    with write_lake(lake, purpose="purge of deleted rows") as connection:
        moved = sum(_move_survivors(connection, table) for table in columns)
        _forget_bounds(connection, columns)
        snapshots = _call(connection, "ducklake_expire_snapshots('lake', older_than => ?)", [until])
        files = _call(connection, "ducklake_cleanup_old_files('lake', cleanup_all => true)")
        orphans = _call(connection, "ducklake_delete_orphaned_files('lake', older_than => ?)", [until])
        lake.catalog.rewrite(lake.lock_wait_seconds)
    receipt = PurgeReceipt(moved, snapshots, files + orphans, orphans, before, perf_counter() - since)
    _log.info(
        "purged rows_moved=%d snapshots=%d files=%d seconds=%.2f",
        moved,
        snapshots,
        receipt.files_deleted,
        receipt.seconds,
    )
    return receipt


def move_rows(connection: "duckdb.DuckDBPyConnection", table: str, files: Sequence[DataFile]) -> int:
    """Write the rows of some files of a table into a new one, in order of time; returns how many rows there are.

    Every snapshot shows what it showed, and needs the old files: they go with the last. By statements of SQL, because
    of DuckLake 1.0's own means, `ducklake_merge_adjacent_files` has a reader who is within a transaction find no rows
    at all, and `ducklake_rewrite_data_files` loses the bounds of a column that is null throughout some file, so that
    the next insert hides every row outside of its own bounds.
    """
    if not files:
        return 0
    target = quote_name(table)
    columns = {name for name, *_ in connection.execute(f"describe {target}").fetchall()}
    order = next((f"order by {name}" for name in _ORDERS if name in columns), "")
    where = f"where filename in ({', '.join(quote_text(file.path) for file in files)})"

    def move(inside: "duckdb.DuckDBPyConnection") -> int:
        inside.execute(f"insert into {target} select * from {target} {where} {order}")  # noqa: S608 - quoted
        return int(inside.execute(f"delete from {target} {where}").fetchall()[0][0])  # noqa: S608 - quoted

    return run_transaction(connection, move)


def _move_survivors(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    """Write the rows of files that also hold deleted rows into a new file."""
    return move_rows(connection, table, [file for file in list_files(connection, table) if file.has_deleted])


def _forget_bounds(connection: "duckdb.DuckDBPyConnection", columns: Mapping[str, Sequence[str]]) -> None:
    """Take least and greatest values out of the tables' statistics, which DuckLake widens but never narrows.

    A column without them is searched in every file, as one that was added later is. Those of files go with the files.
    """
    for table, names in columns.items():
        schema, name = table.split(".")
        values = {"schema": schema, "table": name, "columns": list(names)}
        run_transaction(connection, lambda open_, values=values: open_.execute(_BOUNDS, values))  # type: ignore[misc]


def _call(connection: "duckdb.DuckDBPyConnection", function: str, values: Sequence[object] = ()) -> int:
    return run_transaction(connection, lambda open_: len(open_.execute(f"call {function}", list(values)).fetchall()))
