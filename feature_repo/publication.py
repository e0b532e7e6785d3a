"""Publication of a run: staged files, the ledger row and whatever goes with them, in one transaction.

What the files hold, and whether they may still be published, is for the caller to know and to recheck
under the writer lock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
        Staged Parquet files per table: addresses in the lake's storage, or paths of this host.
    """

    run: Run
    partition: str
    files: Mapping[str, Sequence[str]]


def publish_run(
    connection: "duckdb.DuckDBPyConnection",
    lake: Lake,
    publication: Publication,
    within: Callable[["duckdb.DuckDBPyConnection"], None] = lambda _: None,
) -> None:
    """Move the staged files beside their tables and register them, the ledger row and `within` as one.

    Every table is as before if the transaction fails, and the staged files are gone: whoever opens the lake for writing
    next removes those that were moved and never registered. Not so the one that fails: it may have lost the catalog in
    the middle of a commit, and does not know whether they are.
    """
    placed = {table: _place(lake, table, publication) for table in publication.files}

    def publish(connection: "duckdb.DuckDBPyConnection") -> None:
        for table, files in placed.items():
            if files:
                add_files(connection, table, files)
        append_run(connection, publication.run)
        within(connection)

    run_transaction(connection, publish)


def _place(lake: Lake, table: str, publication: Publication) -> list[str]:
    schema, name = table.split(".")
    folder = f"{lake.storage.data}/{schema}/{name}/{publication.partition}/{publication.run.run_id}"
    return [lake.storage.move(file, f"{folder}/{file.rpartition('/')[2]}") for file in publication.files[table]]
