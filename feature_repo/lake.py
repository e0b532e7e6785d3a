"""The lake: where it lies, how it is opened, and who may write.

This is the only module that opens DuckDB on the lake and, with `upkeep`, the only one that knows DuckLake. It knows no
table by name: declarations are in `contracts`, statements in the modules that own them.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import stamina
from filelock import FileLock, Timeout

from feature_repo.errors import BadData, Unavailable
from feature_repo.release import LaterRelease, check_readable, check_writable, explain_age, explain_format

T = TypeVar("T")

EXTENSIONS: Final = ("sqlite_scanner", "ducklake")


@dataclass(frozen=True, slots=True)
class Lake:
    """Where a lake lies: everything is below one absolute folder.

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
    """

    home: Path
    memory_limit: str | None = None
    lock_wait_seconds: float = 60
    redis: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise BadData(f"the lake's home must be an absolute path, found {str(self.home)!r}")

    @property
    def catalog(self) -> Path:
        """DuckLake's catalog, a SQLite database."""
        return self.home / "lake" / "catalog.sqlite"

    @property
    def data(self) -> Path:
        """The Parquet files, DuckLake's property."""
        return self.home / "lake" / "data"

    @property
    def staging(self) -> Path:
        """Same filesystem as the data, but outside of it: orphan cleanup lists what lies inside."""
        return self.home / "staging"

    @property
    def spill(self) -> Path:
        """Where DuckDB puts rows that do not fit into memory."""
        return self.home / "spill"

    @property
    def lock(self) -> Path:
        """What a writer locks; who holds it stands beside it."""
        return self.home / "lake" / "writer.lock"


@contextmanager
def read_lake(lake: Lake, *, is_locked: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the lake read-only; never blocks a writer and is never blocked by one.

    Tables are addressed as `schema.table`. A locked connection is for statements that people write: it
    sees no file outside the lake and no setting can be changed. Raises `Unavailable` if there is no lake yet, and if a
    later release has made it what this one would read wrongly.
    """
    if not lake.catalog.exists():
        raise Unavailable(f"no lake at {lake.home}; make one with `scorelake apply` or `scorelake ingest`")
    if is_locked:
        connection = _attach(lake, read_only=True)
        _lock(connection, lake)
    else:
        connection = _connect(lake, read_only=True)
    try:
        with explain_age(connection):
            yield connection
    finally:
        connection.close()


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
    for folder in (lake.data, lake.staging):
        folder.mkdir(parents=True, exist_ok=True)
    patience = lake.lock_wait_seconds if wait_seconds is None else wait_seconds
    with hold_lock(lake.lock, purpose, patience) as has_predecessor_failed:
        connection = _connect(lake, read_only=False)
        try:
            check_writable(connection)
            if has_predecessor_failed:  # what it wrote and never committed is in nobody's way, and nobody's
                connection.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)")
            with explain_age(connection):
                yield connection
        finally:
            connection.close()


def run_transaction(connection: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """Run `work` in one transaction: all of it is committed, or nothing.

    A commit that fails on a busy catalog is tried again; `work` must therefore be safe to repeat. Raises `Unavailable`
    if it stays busy.
    """
    try:
        for attempt in stamina.retry_context(on=duckdb.TransactionException, attempts=5, timeout=30):
            with attempt:
                result = _run_once(connection, work)
    except duckdb.TransactionException as error:
        if "locked" not in str(error):
            raise
        raise Unavailable(f"the lake's catalog is being used by someone else, for too long: {error}") from error
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


def add_files(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path]) -> None:
    """Register Parquet files, which already lie below the lake's data folder, as rows of a table.

    From then on they are DuckLake's property. A file registered twice is read twice: callers recheck
    under the writer lock that they have not been here before.
    """
    schema, name = table.split(".")
    connection.execute(
        "call ducklake_add_data_files('lake', ?, ?, schema => ?, hive_partitioning => false)",
        [name, [str(file) for file in files], schema],
    )


def quote_name(name: str) -> str:
    """Quote an identifier, or each part of a dotted one, for use in SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _connect(lake: Lake, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = _open_instance(lake, _read_identity(lake), read_only=read_only).cursor()
    connection.execute("use lake")
    return connection


def _read_identity(lake: Lake) -> int | None:
    """What tells a catalog from another that lay at the same path before; None before there is one."""
    return lake.catalog.stat().st_ino if lake.catalog.exists() else None


@lru_cache(maxsize=4)
def _open_instance(lake: Lake, _identity: int | None, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    # Verifying the extensions' signatures takes most of an opening: once a process is enough.
    connection = _attach(lake, read_only=read_only)
    if read_only:
        check_readable(connection)
    return connection


def _attach(lake: Lake, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    for extension in EXTENSIONS:
        connection.execute(f"load '{find_extension(extension)}'")
    connection.execute("set global TimeZone = 'UTC'")  # a cursor starts with the global settings
    # Spilled rows hold text: they go where the lake is, not wherever a command was started.
    # Quoted, not bound: DuckDB imports pandas (0.6 s) to look at the first parameter that it is given.
    connection.execute(f"set temp_directory = {quote_text(str(lake.spill))}")
    # A spine of which DuckDB expects few rows (of any Arrow table it expects one) would be joined by a loop.
    connection.execute("set global asof_loop_join_threshold = 0")
    if lake.memory_limit:
        connection.execute(f"set memory_limit = {quote_text(lake.memory_limit)}")
    with explain_format():
        connection.execute(_build_attach(lake, read_only=read_only))
    connection.execute("use lake")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    connection.execute(f"set allowed_directories = [{quote_text(f'{lake.catalog.parent}/')}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _build_attach(lake: Lake, *, read_only: bool) -> str:
    # WAL lets readers go on while a commit is written. Inlining stays off: SQLite keeps deleted values.
    options = [
        "data_path " + quote_text(f"{lake.data}/"),
        "meta_journal_mode 'WAL'",
        "meta_busy_timeout 10000",
        "data_inlining_row_limit 0",
        "override_data_path true",  # a lake that was moved or restored is read where it now lies
    ]
    if read_only:
        options.append("read_only")
    return f"attach {quote_text(f'ducklake:sqlite:{lake.catalog}')} as lake ({', '.join(options)})"


def quote_text(text: str) -> str:
    """Quote a text of ours as a literal, where SQL takes no bound parameter."""
    return "'" + text.replace("'", "''") + "'"


def find_extension(name: str) -> Path:
    """Path of an extension inside its wheel; nothing is ever downloaded, and DuckDB verifies the signature.

    Raises `Unavailable` if the wheel is not installed, or of another version than DuckDB.
    """
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise Unavailable(f"the package duckdb-extension-{name.replace('_', '-')} is not installed")
    version = f"v{duckdb.__version__}"
    file = Path(spec.origin).parent / "extensions" / version / f"{name}.duckdb_extension"
    if not file.exists():
        raise Unavailable(f"duckdb is {duckdb.__version__}, but {name} is built for another version: {file.parent}")
    return file


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("rollback")
    except duckdb.TransactionException:
        # A failed commit has already ended the transaction; the error that matters is the one being raised.
        return


@contextmanager
def hold_lock(path: Path, purpose: str, wait_seconds: float) -> Iterator[bool]:
    """Hold a lock that the operating system frees when its holder dies; who holds it stands beside it.

    Gives whether the holder before failed or died: its name still stands there.

    Raises `Unavailable`, naming the holder, if it is not free within the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".holder.json")
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        waited = timedelta(seconds=round(wait_seconds))
        raise Unavailable(
            f"the lake is being written by {describe_holder(holder)}; waited {waited}. Try again when it has finished."
        ) from None
    has_predecessor_failed = holder.exists()
    try:
        holder.write_text(json.dumps({"purpose": purpose, "process_id": os.getpid(), "host": socket.gethostname()}))
        yield has_predecessor_failed
        holder.unlink(missing_ok=True)
    except LaterRelease:  # it was sent away before it did anything
        if not has_predecessor_failed:
            holder.unlink(missing_ok=True)
        raise
    finally:
        lock.release()


def describe_holder(holder: Path) -> str:
    """Say who holds a lock, or held it and died, by the file beside it."""
    try:
        return "{purpose}, process {process_id} on {host}".format(**json.loads(holder.read_text()))
    except (OSError, ValueError, KeyError):
        return "a process that left no name"
