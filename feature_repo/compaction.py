"""Compaction: many small files of a table become few, a step at a time, while others read and write in between.

How rows move is `upkeep`'s affair. The small files stay for the snapshots that show them, and go with the last.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.upkeep import DataFile, list_files, move_rows

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_SMALL_BYTES: Final = 4 * 2**20
# A file that grows by little is not written anew each time.
_FEWEST_FILES: Final = 8
# What one step reads, which bounds its memory and the time for which other writers wait.
_STEP_BYTES: Final = 32 * 2**20
_TABLES: Final = (
    "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by all"
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CompactionReceipt:
    """What a compaction did: files and bytes that the tables consist of, before and after.

    Files that only older snapshots need are not counted: they take room until those are given up.
    """

    tables: tuple[str, ...]
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    seconds: float


def compact_tables(lake: Lake, *, on_progress: Progress = lambda _done, _total: None) -> CompactionReceipt:
    """Merge the small files of every table, in steps that each hold the writer lock for as long as one merge takes.

    Rows, data versions and older snapshots are as before. Killed at any instant, the next call goes on.

    Parameters
    ----------
    on_progress
        Told the number of tables that are done, and of all.

    Raises
    ------
    Unavailable
        If another writer holds the lake for too long.
    """
    since = perf_counter()
    with read_lake(lake) as connection:
        tables = list_tables(connection)
        before = _list_all(connection, tables)
    merged = []
    for number, table in enumerate(tables):
        if _compact(lake, table):
            merged.append(table)
        on_progress(number + 1, len(tables))
    with read_lake(lake) as connection:
        after = _list_all(connection, tables)
    receipt = CompactionReceipt(
        tables=tuple(merged),
        files_before=len(before),
        files_after=len(after),
        bytes_before=sum(file.size_bytes for file in before),
        bytes_after=sum(file.size_bytes for file in after),
        seconds=perf_counter() - since,
    )
    _log.info("compacted files=%d to=%d seconds=%.2f", receipt.files_before, receipt.files_after, receipt.seconds)
    return receipt


def list_tables(connection: "duckdb.DuckDBPyConnection") -> tuple[str, ...]:
    """Every table there is in the lake, those of models without a spec any more included."""
    return tuple(name for (name,) in connection.execute(_TABLES).fetchall())


def choose_files(files: Sequence[DataFile]) -> list[DataFile]:
    """The small files that the next step makes one of, the oldest first; none if they are too few.

    >>> sizes = [1, 1, 40, 1, 1, 1, 1, 1, 1]
    >>> files = [DataFile(str(number), size * 2**20, has_deleted=False) for number, size in enumerate(sizes)]
    >>> "".join(file.path for file in choose_files(files)), choose_files(files[1:])
    ('01345678', [])
    """
    small = [file for file in files if file.size_bytes < _SMALL_BYTES]
    totals = accumulate(file.size_bytes for file in small)
    chosen = [file for file, total in zip(small, totals, strict=True) if total <= _STEP_BYTES]
    return chosen if len(chosen) >= _FEWEST_FILES else []


def _compact(lake: Lake, table: str) -> bool:
    """Make few of a table's small files, step by step; returns whether any were."""
    count = None
    while True:
        with read_lake(lake) as connection:
            files = list_files(connection, table)
        if not choose_files(files) or len(files) == count:
            return count is not None
        count = len(files)
        with write_lake(lake, purpose=f"compaction of {table}") as connection:
            move_rows(connection, table, choose_files(list_files(connection, table)))


def _list_all(connection: "duckdb.DuckDBPyConnection", tables: Sequence[str]) -> list[DataFile]:
    return [file for table in tables for file in list_files(connection, table)]
