"""Publication of a run: staged files, the ledger row and whatever goes with them, in one transaction.

What the files hold, and whether they may still be published, is for the caller to know and to recheck
under the writer lock.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.lake import Lake, add_files, run_transaction
from feature_repo.ledger import Run, append_run

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Publication:
    """What one run publishes.

    Parameters
    ----------
    run
        The ledger row; its `run_id` names the folder of the files and must not be in the ledger yet.
    partition
        Folder between table and run, in hive style, such as "scored_on=2026-11-20".
    files
        Staged Parquet files per table, on the filesystem of the lake's data.
    """

    run: Run
    partition: str
    files: Mapping[str, Sequence[Path]]


def publish_run(
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    publication: Publication,
    within: Callable[["duckdb.DuckDBPyConnection"], None] = lambda _: None,
) -> None:
    """Move the staged files beside their tables and register them, the ledger row and `within` as one.

    Files that a killed run moved but never registered are removed first. Everything is as before if
    the transaction fails, except that the staged files are gone.
    """
    for table in publication.files:
        _remove_orphans(connection, lake, table)
    placed = {table: _place(lake, table, publication) for table in publication.files}

    def publish(connection: "duckdb.DuckDBPyConnection") -> None:
        for table, files in placed.items():
            if files:
                add_files(connection, table, files)
        append_run(connection, publication.run)
        within(connection)

    try:
        run_transaction(connection, publish)
    except BaseException:
        for file in (file for files in placed.values() for file in files):
            file.unlink(missing_ok=True)
        raise


def _place(lake: Lake, table: str, publication: Publication) -> list[Path]:
    folder = _folder(lake, table) / publication.partition / publication.run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return [file.rename(folder / file.name) for file in publication.files[table]]


def _remove_orphans(connection: "duckdb.DuckDBPyConnection", lake: Lake, table: str) -> None:
    folders = {folder.name: folder for folder in _folder(lake, table).glob("*=*/*") if folder.is_dir()}
    known = connection.execute("select run_id from ops.runs where list_contains(?, run_id)", [list(folders)]).fetchall()
    for run_id in folders.keys() - {run_id for (run_id,) in known}:
        shutil.rmtree(folders[run_id])


def _folder(lake: Lake, table: str) -> Path:
    schema, name = table.split(".")
    return lake.data / schema / name
