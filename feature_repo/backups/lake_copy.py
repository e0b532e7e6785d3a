"""The lake's share of a backup: its catalog at one instant, and the data files that there are at the same instant.

Data files are never written to again: they can be copied later, unless maintenance deletes them meanwhile.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from feature_repo.backups.database import copy_database_apart
from feature_repo.catalog_copy import export_catalog
from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.release import Release, read_release
from feature_repo.storages import StoredFile
from feature_repo.upkeep import find_broken_files

_PURPOSE: Final = "copy the catalog for a backup"
_TABLES: Final = (
    "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by all"
)


@dataclass(frozen=True, slots=True)
class LakeCopy:
    """A lake at one instant.

    Parameters
    ----------
    files
        Everything in the lake's data folder then: what the catalog names, and perhaps what it will delete.
    release
        The release that the lake is at; None if it does not say.
    held_seconds
        For how long other writers had to wait.
    """

    files: tuple[StoredFile, ...]
    release: Release | None
    held_seconds: float


def copy_catalog(lake: Lake, target: Path) -> LakeCopy:
    """Copy the catalog into a file and list the data files, between two writers; readers are not disturbed.

    Raises `Unavailable` if there is no lake, or somebody writes to it for too long.
    """
    if not lake.catalog.exists():
        raise Unavailable(f"no lake at {lake.home}, so there is nothing to back up")
    with TemporaryDirectory(dir=target.parent) as folder, write_lake(lake, purpose=_PURPOSE) as connection:
        since = perf_counter()
        release = read_release(connection)
        file = lake.catalog_file
        if lake.catalog_address is not None:
            export_catalog(connection, lake, Lake(Path(folder)))
            file = Lake(Path(folder)).catalog_file
        copy_database_apart(file, target, wait_seconds=lake.lock_wait_seconds)
        files = tuple(sorted(lake.storage.list_files(lake.storage.data), key=lambda one: one.address))
        return LakeCopy(files, release, perf_counter() - since)


def find_faults(lake: Lake) -> list[str]:
    """The data files that the catalog of a lake names, in any table, and that are not there or of another size."""
    with read_lake(lake) as connection:
        tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
        return [path for table in tables for path in find_broken_files(lake, connection, table)]
