"""The lake: where it lies, how it is opened, and who may write.

This is the only module that opens DuckDB on the lake and, with `upkeep`, the only one that knows DuckLake. It knows no
table by name: declarations are in `contracts`, statements in the modules that own them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import stamina

from feature_repo.catalogs import WRITER, Catalog
from feature_repo.catalogs.postgres import PostgresCatalog
from feature_repo.catalogs.sqlite import SqliteCatalog
from feature_repo.commits import explain_commit, explain_loss, is_not_allowed, may_pass
from feature_repo.errors import BadData, Unavailable
from feature_repo.extensions import find_extension
from feature_repo.release import check_readable, check_writable, explain_age, explain_format
from feature_repo.storages import Storage
from feature_repo.storages.local import LocalStorage
from feature_repo.storages.s3 import Bucket, S3Storage

T = TypeVar("T")

_log = logging.getLogger(__name__)
DUCKLAKE: Final = "ducklake"


@dataclass(frozen=True, slots=True)
class Lake:
    """Where a lake lies: everything is below one absolute folder, or its catalog and files are where others reach them.

    Parameters
    ----------
    home
        Absolute path. A relative one would make a second lake wherever a command is started.
    memory_limit
        DuckDB's memory limit per connection, such as "4GB"; DuckDB's default if None.
    lock_wait_seconds
        How long a writer waits for the one before.
    redis
        Feast's connection string of a Redis for online features ("host:6379,password=..."); a file if None.
    catalog_address
        Address of a PostgreSQL database that holds the catalog, as libpq takes it; a file below the home if None.
    registry_address, mlflow_address
        The same for Feast's registry and for MLflow's store.
    bucket
        Where the files lie, on a server that speaks S3; below the home if None.
    """

    home: Path
    memory_limit: str | None = None
    lock_wait_seconds: float = 60
    redis: str | None = field(default=None, repr=False)
    catalog_address: str | None = field(default=None, repr=False)
    registry_address: str | None = field(default=None, repr=False)
    mlflow_address: str | None = field(default=None, repr=False)
    bucket: Bucket | None = None

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise BadData(f"the lake's home must be an absolute path, found {str(self.home)!r}")

    @property
    def folder(self) -> Path:
        """Where the files of a lake on one host lie."""
        return self.home / "lake"

    @property
    def is_shared(self) -> bool:
        """Whether some of it lies where other hosts reach it, outside of the home."""
        return self.catalog_address is not None or self.bucket is not None

    @property
    def catalog_file(self) -> Path:
        """Where the catalog is that is no database of others."""
        return self.folder / "catalog.sqlite"

    @property
    def catalog(self) -> Catalog:
        """DuckLake's catalog."""
        address = self.catalog_address
        return SqliteCatalog(self.catalog_file) if address is None else PostgresCatalog(address)

    @property
    def storage(self) -> Storage:
        """The lake's files."""
        return LocalStorage(self.home) if self.bucket is None else S3Storage(self.bucket, self.home / "cache")

    @property
    def staging(self) -> Path:
        """Where runs of this host put what nobody else needs until they publish it."""
        return self.home / "staging"

    @property
    def spill(self) -> Path:
        """Where DuckDB puts rows that do not fit into memory."""
        return self.home / "spill"


@contextmanager
def read_lake(lake: Lake, *, is_locked: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the lake read-only; never blocks a writer and is never blocked by one.

    Tables are addressed as `schema.table`. A locked connection is for statements that people write: it
    sees no file outside the lake and no setting can be changed. Raises `Unavailable` if there is no lake yet, and if a
    later release has made it what this one would read wrongly.
    """
    if not lake.catalog.exists():
        raise Unavailable(f"no lake at {lake.home}; make one with `scorelake apply` or `scorelake ingest`")
    with explain_loss(lake.catalog):
        connection = _open_locked(lake) if is_locked else _connect(lake, read_only=True)
        try:
            with explain_age(connection):
                yield connection
        finally:
            _close(connection)


@contextmanager
def write_lake(lake: Lake, *, purpose: str, wait_seconds: float | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the lake for writing, alone.

    Parameters
    ----------
    purpose
        What the writer does, in the operator's words; shown to whoever waits.
    wait_seconds
        How long to wait for the writer before, the lake's own patience if None; then `Unavailable` names the holder.
        `LaterRelease` is raised if a later release has migrated the lake.
    """
    lake.storage.prepare()
    lake.staging.mkdir(parents=True, exist_ok=True)
    patience = lake.lock_wait_seconds if wait_seconds is None else wait_seconds
    lake.catalog.prepare()
    with lake.catalog.hold(WRITER, purpose, patience) as has_predecessor_failed, explain_loss(lake.catalog):
        connection = _connect(lake, read_only=False)
        try:
            check_writable(connection)
            lake.catalog.guard()
            if has_predecessor_failed:
                _delete_orphans(connection)
            with explain_age(connection):
                yield connection
        finally:
            _close(connection)


def _delete_orphans(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete what a dead writer wrote and never committed: it is in nobody's way, and nobody's."""
    try:
        connection.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)")
    except duckdb.Error as error:
        if not is_not_allowed(error):
            raise
        _log.warning("orphans left to `scorelake maintain`, this role may not delete them: %s", error)


def run_transaction(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """Run `work` in one transaction: all of it is committed, or nothing.

    A commit that fails on a busy catalog is tried again; `work` must therefore be safe to repeat. Raises `Unavailable`
    if it stays busy, or if the writer lock was lost and somebody else has taken it, and `Refused` if this role may not
    do it.
    """
    try:
        for attempt in stamina.retry_context(on=may_pass, attempts=5, timeout=30):
            with attempt:
                result = _run_once(connection, work)
    except duckdb.Error as error:
        if (told := explain_commit(error)) is None:
            raise
        raise told from error
    return result


def _run_once(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    connection.execute("begin transaction")
    try:
        result = work(connection)
        connection.execute("commit")
    except BaseException:
        _roll_back(connection)
        raise
    return result


def add_files(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[str]) -> None:
    """Register Parquet files, which already lie below the lake's data folder, as rows of a table.

    From then on they are DuckLake's property. A file registered twice is read twice: callers recheck
    under the writer lock that they have not been here before.
    """
    schema, name = table.split(".")
    connection.execute(
        "call ducklake_add_data_files('lake', ?, ?, schema => ?, hive_partitioning => false)",
        [name, list(files), schema],
    )


def quote_name(name: str) -> str:
    """Quote an identifier, or each part of a dotted one, for use in SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _connect(lake: Lake, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = _open_instance(lake, lake.catalog.read_identity(), read_only=read_only).cursor()
    connection.execute("use lake")
    # A process that lives on gives back what a query took. Set each time: any database that is closed stops it for all.
    connection.execute("set allocator_background_threads = true")
    return connection


@lru_cache(maxsize=4)
def _open_instance(lake: Lake, _identity: object, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    # Verifying the extensions' signatures takes most of an opening: once a process is enough.
    connection = _attach(lake, read_only=read_only)
    if read_only:
        check_readable(connection)
    return connection


def _attach(lake: Lake, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    for extension in list_extensions(lake):
        connection.execute(f"load '{find_extension(extension)}'")
    connection.execute("set global TimeZone = 'UTC'")  # a cursor starts with the global settings
    # Spilled rows hold text: they go where the lake is, not wherever a command was started.
    # Quoted, not bound: DuckDB imports pandas (0.6 s) to look at the first parameter that it is given.
    connection.execute(f"set temp_directory = {quote_text(str(lake.spill))}")
    # A spine of which DuckDB expects few rows (of any Arrow table it expects one) would be joined by a loop.
    connection.execute("set global asof_loop_join_threshold = 0")
    if lake.memory_limit:
        connection.execute(f"set memory_limit = {quote_text(lake.memory_limit)}")
    for secret in (*lake.catalog.list_secrets(), *lake.storage.list_secrets()):
        connection.execute(secret)
    with explain_format():
        connection.execute(_build_attach(lake, "lake", read_only=read_only))
    connection.execute("use lake")
    return connection


def attach_other(connection: duckdb.DuckDBPyConnection, other: Lake, name: str, *, read_only: bool = True) -> None:
    """Attach another lake under a name of its own to a connection that writes to one."""
    connection.execute(f"load '{find_extension(other.catalog.extension)}'")
    for secret in (*other.catalog.list_secrets(), *other.storage.list_secrets()):
        connection.execute(secret)
    connection.execute(_build_attach(other, name, read_only=read_only))


def _open_locked(lake: Lake) -> duckdb.DuckDBPyConnection:
    connection = _attach(lake, read_only=True)
    allowed = ", ".join(quote_text(f"{folder}/") for folder in (lake.folder, lake.storage.data))
    connection.execute(f"set allowed_directories = [{allowed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _build_attach(lake: Lake, name: str, *, read_only: bool) -> str:
    # Inlining stays off: a catalog keeps deleted values.
    options = [
        "data_path " + quote_text(f"{lake.storage.data}/"),
        "data_inlining_row_limit 0",
        "override_data_path true",  # a lake that was moved or restored is read where it now lies
        *lake.catalog.list_options(),
    ]
    if read_only:
        options.append("read_only")
    source = lake.catalog.build_source(read_only=read_only)
    return f"attach {quote_text(f'ducklake:{source}')} as {name} ({', '.join(options)})"


def quote_text(text: str) -> str:
    """Quote a text of ours as a literal, where SQL takes no bound parameter."""
    return "'" + text.replace("'", "''") + "'"


def list_extensions(lake: Lake) -> tuple[str, ...]:
    """The extensions of DuckDB that a lake needs."""
    return (lake.catalog.extension, *lake.storage.extensions, DUCKLAKE)


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    # A failed commit has already ended the transaction; the error that matters is the one being raised.
    with suppress(duckdb.Error):
        connection.execute("rollback")


def _close(connection: duckdb.DuckDBPyConnection) -> None:
    _roll_back(connection)  # closing would do it, and end the whole process if the catalog is lost
    connection.close()
