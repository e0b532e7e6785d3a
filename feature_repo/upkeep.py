"""Upkeep of the lake's files: what was deleted leaves the disk, too, once no kept snapshot shows it.

Beside `lake` the only module that knows DuckLake. Which values are taken out of the tables, and when, is decided
by their owners.
"""

import logging
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, quote_name, quote_text, run_transaction, write_lake

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_BOUNDS: Final = (Path(__file__).with_name("forget_bounds.sql")).read_text(encoding="utf-8")


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
        Files that no kept snapshot needs, and what killed runs left before `before`.
    before
        Snapshots older than this are gone (UTC).
    """

    rows_moved: int
    snapshots_expired: int
    files_deleted: int
    before: datetime
    seconds: float


def purge_deleted(lake: Lake, columns: Mapping[str, Sequence[str]], *, before: datetime) -> PurgeReceipt:
    """Bring deleted and replaced values of some tables off the disk; safe to repeat, and to be killed in.

    What was deleted lately stays readable through older snapshots, up to `before`; a later purge takes it. No file
    that a reader may still need is touched if readers end within that time.

    Parameters
    ----------
    columns
        By table, the columns whose values must not outlive their rows in the catalog's statistics either.
    before
        Snapshots older than this are given up (UTC), except the present one.

    Raises
    ------
    Unavailable
        If the catalog is being read for too long to be rewritten. The next purge does it.
    """
    since = perf_counter()
    with write_lake(lake, purpose="purge of deleted rows") as connection:
        moved = sum(_move_survivors(connection, table) for table in columns)
        _forget_bounds(connection, columns)
        snapshots = _call(connection, "ducklake_expire_snapshots('lake', older_than => ?)", [before])
        files = _call(connection, "ducklake_cleanup_old_files('lake', cleanup_all => true)")
        files += _call(connection, "ducklake_delete_orphaned_files('lake', older_than => ?)", [before])
        files += _delete_left(lake, before)
        _rewrite_catalog(lake)
    receipt = PurgeReceipt(moved, snapshots, files, before, perf_counter() - since)
    _log.info("purged rows_moved=%d snapshots=%d files=%d seconds=%.2f", moved, snapshots, files, receipt.seconds)
    return receipt


def _move_survivors(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    """Write the rows of files that also hold deleted rows into a new file; the old ones go with their snapshots.

    An update that changes nothing, because `ducklake_rewrite_data_files` of DuckLake 1.0 loses the bounds of a column
    that is null throughout some file, and the next insert then hides every row outside of its own bounds.
    """
    schema, name = table.split(".")
    found = connection.execute(
        "select data_file from ducklake_list_files('lake', ?, schema => ?) where delete_file is not null",
        [name, schema],
    ).fetchall()
    if not found:
        return 0
    files = ", ".join(quote_text(file) for (file,) in found)
    column = quote_name(connection.execute(f"describe {quote_name(table)}").fetchall()[0][0])
    update = f"update {quote_name(table)} set {column} = {column} where filename in ({files})"  # noqa: S608 - quoted
    return run_transaction(connection, lambda open_: int(open_.execute(update).fetchall()[0][0]))


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


def _delete_left(lake: Lake, before: datetime) -> int:
    """Delete what killed runs left in staging and of rows that had been spilled."""
    entries = (entry for folder in (lake.staging, lake.spill) if folder.exists() for entry in folder.iterdir())
    left = [entry for entry in entries if entry.stat().st_mtime < before.timestamp()]
    for entry in left:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return len(left)


def _rewrite_catalog(lake: Lake) -> None:
    """Rewrite the catalog without what was deleted from it, which SQLite would keep in free pages.

    DuckDB holds the file open within transactions only. None is open here: closing the file a second time, in the
    same process, would drop the locks of the first.
    """
    try:
        with closing(sqlite3.connect(lake.catalog, timeout=lake.lock_wait_seconds, isolation_level=None)) as connection:
            connection.execute("vacuum")
            is_busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the catalog could not be rewritten ({error}); the next purge does it") from error
    if is_busy:
        raise Unavailable(
            f"the catalog was being read for more than {lake.lock_wait_seconds} s, so that deleted values stay in its "
            "pages; the next purge takes them"
        )
