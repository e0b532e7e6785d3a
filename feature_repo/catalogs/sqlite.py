"""A catalog in a SQLite file, for writers and readers of one host."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from feature_repo.errors import Unavailable
from feature_repo.file_lock import find_dead_holder, hold_lock


@dataclass(frozen=True, slots=True)
class SqliteCatalog:
    """The file; its locks lie beside it."""

    extension: ClassVar[str] = "sqlite_scanner"

    file: Path

    def exists(self) -> bool:
        """Whether there is a catalog yet."""
        return self.file.exists()

    def describe(self) -> str:
        """Where it is."""
        return str(self.file)

    def read_identity(self) -> int | None:
        """What tells a catalog from another that lay at the same path before; None before there is one."""
        return self.file.stat().st_ino if self.file.exists() else None

    def prepare(self) -> None:
        """Make the folder."""
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def list_secrets(self) -> tuple[str, ...]:
        """None: the file's permissions say who gets in."""
        return ()

    def build_source(self, *, read_only: bool) -> str:  # noqa: ARG002 - the attachment says it
        """What DuckLake attaches."""
        return f"sqlite:{self.file}"

    def list_options(self) -> tuple[str, ...]:
        """WAL lets readers go on while a commit is written."""
        return ("meta_journal_mode 'WAL'", "meta_busy_timeout 10000")

    def hold(self, name: str, purpose: str, wait_seconds: float) -> AbstractContextManager[bool]:
        """Hold a lock in a file beside the catalog."""
        return hold_lock(self.locate_lock(name), purpose, wait_seconds)

    @contextmanager
    def hold_lease(self, name: str, purpose: str) -> Iterator[bool]:  # noqa: ARG002 - nothing is held
        """Nothing: of a run on the same host the system knows whether its process lives."""
        yield False

    def guard(self) -> None:
        """Nothing: the lock and the file are of one system, and a process that lost the lock is dead."""

    def find_dead_holder(self, name: str) -> str | None:
        """Who held a lock and died or failed, in words; None if nobody did, or somebody holds it now."""
        return find_dead_holder(self.locate_lock(name))

    def locate_lock(self, name: str) -> Path:
        """The file of a lock."""
        return self.file.with_name(f"{name}.lock")

    def list_tables(self) -> tuple[str, ...]:
        """Names of DuckLake's own tables."""
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(r"select name from sqlite_master where name like 'ducklake\_%' escape '\'")
            return tuple(name for (name,) in found.fetchall())

    def find_fault(self) -> str | None:
        """What SQLite finds wrong; None if nothing. Raises `Unavailable` if it cannot look."""
        try:
            with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
                said = str(connection.execute("pragma quick_check(1)").fetchone()[0])
        except sqlite3.OperationalError as error:  # of the system, and not of what is in the file
            raise Unavailable(f"the catalog {self.file} cannot be looked at: {error}") from error
        except sqlite3.Error as error:
            return str(error)
        return None if said == "ok" else " ".join(said.split())

    def rewrite(self, wait_seconds: float) -> None:
        """Rewrite the file without what was deleted from it, which SQLite would keep in free pages.

        DuckDB holds the file open within transactions only. The caller has none open: closing the file a second time,
        in the same process, would drop the locks of the first.
        """
        try:
            with closing(sqlite3.connect(self.file, timeout=wait_seconds, isolation_level=None)) as connection:
                connection.execute("vacuum")
                is_busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"the catalog could not be rewritten ({error}); the next purge does it") from error
        if is_busy:
            raise Unavailable(
                f"the catalog was being read for more than {wait_seconds} s, so that deleted values stay in its pages; "
                "the next purge takes them"
            )

    def measure(self) -> int:
        """Bytes of the file and its log."""
        files = (self.file, *(self.file.with_name(f"{self.file.name}-{part}") for part in ("wal", "shm")))
        return sum(file.stat().st_size for file in files if file.exists())
