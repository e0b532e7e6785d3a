"""Copies of SQLite databases as they are between two transactions, while others use them.

Of a database that DuckDB has open in this process the copy is made by another process, which runs this module: each has
an SQLite of its own, and when the second one closes a file, the system drops the locks of the first.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

from feature_repo.errors import Unavailable

_ROOT: Final = Path(__file__).parents[2]


def copy_database(source: Path, target: Path, *, wait_seconds: float) -> None:
    """Copy an SQLite database as it is between two of its transactions; whoever uses it goes on.

    Raises `Unavailable` if it is being rewritten for too long, or damaged.
    """
    deadline = monotonic() + wait_seconds

    def check_time(status: int, _remaining: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and monotonic() > deadline:
            raise sqlite3.OperationalError(f"in use for more than {wait_seconds} s")

    target.unlink(missing_ok=True)
    try:
        with (
            # Not read-only: what a killed process has left in a journal must be settled first.
            closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=wait_seconds)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written, progress=check_time)
    except sqlite3.Error as error:
        raise Unavailable(f"the database {source} could not be copied: {error}") from error


def copy_database_apart(source: Path, target: Path, *, wait_seconds: float) -> None:
    """Do what `copy_database` does, in a process of its own; a tenth of a second more."""
    command = [sys.executable, "-m", __name__, str(source), str(target), str(wait_seconds)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or ["the copying process died"])[-1])


if __name__ == "__main__":
    try:
        copy_database(Path(sys.argv[1]), Path(sys.argv[2]), wait_seconds=float(sys.argv[3]))
    except Unavailable as error:
        sys.exit(str(error))
