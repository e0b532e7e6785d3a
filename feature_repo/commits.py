"""Commits and catalogs that failed: whether another attempt may pass, and what to do, read from DuckDB's words.

DuckDB gives on what a catalog has said as text; a kind of error for each there is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from feature_repo.errors import BadData, Refused, ScorelakeError, Unavailable

if TYPE_CHECKING:
    from feature_repo.catalogs import Catalog

_NOT_THE_WRITER: Final = "does not hold the writer lock"
_BUSY: Final = ("locked", "conflict")
_LOST: Final = (
    "connection to server",
    "server closed the connection",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "SSL SYSCALL error",
    "terminating connection",
    "Unable to connect to Postgres",
    'Failed to execute query "ROLLBACK"',
    'Failed to execute query "COMMIT"',
)
# SQLite's word where it may not write beside the catalog, and the system's.
_DENIED: Final = ("attempt to write a readonly database", "Permission denied", "Read-only file system")
# The catalog's own guard (scorer_role.sql), PostgreSQL, and a bucket.
_NOT_ALLOWED: Final = ("scorelake: the role", "permission denied for", "HTTP 403", "HTTP code 403", "AccessDenied")


def may_pass(error: Exception) -> bool:
    """Whether a commit surely did not happen and may the next time; one that may have happened is never repeated."""
    return isinstance(error, duckdb.TransactionException) and any(words in str(error) for words in _BUSY)


def explain_commit(error: duckdb.Error) -> ScorelakeError | None:
    """What a failed transaction means to the operator; None if it is no affair of catalog or bucket."""
    said = str(error)
    if _NOT_THE_WRITER in said:
        return Unavailable(
            "this process does not hold the writer lock any more: its connection to the catalog was cut, and "
            "another writer has taken over; nothing was written. Try again"
        )
    if is_not_allowed(error):
        return Refused(f"this role may not write that, and nothing was written: {_find_line(said, _NOT_ALLOWED)}")
    if lost := _find_loss(error):
        return Unavailable(
            f"the catalog was lost in the middle of a transaction, and whether it was committed is not known here: "
            f"{lost}. Run it again; it does what is still owed"
        )
    if isinstance(error, duckdb.TransactionException) and "locked" in said:
        return Unavailable(f"the lake's catalog is being used by someone else, for too long: {said}")
    return None


@contextmanager
def explain_loss(catalog: "Catalog") -> Iterator[None]:
    """Raise `Unavailable` where DuckDB says that it lost the catalog, or did not get to it; `BadData` if it may not."""
    try:
        yield
    except duckdb.Error as error:
        if said := _find_loss(error):
            raise Unavailable(
                f"the catalog {catalog.describe()} does not answer: {said}. Try again; what a run has finished is kept"
            ) from error
        if said := _find_line(str(error), _DENIED):
            raise BadData(
                f"this user may not use the lake of {catalog.describe()} ({said}). Get the right to write there; "
                "SQLite asks it of readers, too. Or read published/scorelake.duckdb instead"
            ) from error
        raise


def _find_loss(error: duckdb.Error) -> str | None:
    """What an error says of a catalog that was lost; None if it is about something else."""
    text = str(error)
    place = max(map(text.rfind, _LOST))
    return text[place:].splitlines()[0] if place >= 0 else None


def is_not_allowed(error: duckdb.Error) -> bool:
    """Whether the catalog or the bucket has refused what this role may not do."""
    return _find_line(str(error), _NOT_ALLOWED) is not None


def _find_line(said: str, phrases: tuple[str, ...]) -> str | None:
    """The first line that has one of some phrases, None if none has; DuckDB puts the statement around it."""
    return next((line.strip() for line in said.splitlines() if any(phrase in line for phrase in phrases)), None)
