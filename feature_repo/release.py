"""Which release a lake is at: what a later one has migrated is refused, before anything is touched.

The number of the schema grows with every release that changes declarations (`tables`); what it takes to bring a lake
to them is in `migration`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import duckdb

from feature_repo.errors import Unavailable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA_VERSION: Final = 1  # raised by a release that changes declarations: tests/rules/test_schema_version.py
# The earliest schema whose release still reads such a lake rightly. A new table or column leaves it; a column that
# means something else raises it.
READABLE_SINCE: Final = 1
# In the comment of `ops.releases`, so that it is read with the catalog, whatever becomes of a data file. Every release
# must find it there, in this form.
_MARK: Final = "Now at schema {schema_version}, read by releases since schema {readable_since}, by scorelake {name}."
_FOUND: Final = re.compile(r"Now at schema (\d+), read by releases since schema (\d+), by scorelake (\S+)\.$")
_COMMENT: Final = (
    "select comment from duckdb_tables() "
    "where database_name = 'lake' and schema_name = 'ops' and table_name = 'releases'"
)


class LaterRelease(Unavailable):
    """The lake was migrated by a later release than this one."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a lake is at: its schema, the earliest one whose release may read it, and who brought the lake to it."""

    schema_version: int
    readable_since: int
    name: str

    @property
    def mark(self) -> str:
        """How it stands in the lake."""
        return _MARK.format(schema_version=self.schema_version, readable_since=self.readable_since, name=self.name)


def read_own_name() -> str:
    """The version of this package."""
    return version("scorelake")


def read_release(connection: "DuckDBPyConnection") -> Release | None:
    """The release that the lake is at; None if it was made before releases were written down, or has no tables."""
    # All of them are fetched: a result that is left half-read keeps its transaction, and with it the catalog, open.
    comments = connection.execute(_COMMENT).fetchall()
    found = _FOUND.search(comments[0][0] or "") if comments else None
    return Release(int(found[1]), int(found[2]), found[3]) if found else None


def check_readable(connection: "DuckDBPyConnection") -> None:
    """Raise `LaterRelease` if this release could read the lake wrongly."""
    found = read_release(connection)
    if found is not None and found.readable_since > SCHEMA_VERSION:
        raise LaterRelease(_describe(found, "read"))


def check_writable(connection: "DuckDBPyConnection") -> None:
    """Raise `LaterRelease` if the lake is at a later schema: what this release would write could be wrong there."""
    found = read_release(connection)
    if found is not None and found.schema_version > SCHEMA_VERSION:
        raise LaterRelease(_describe(found, "write to"))


def is_behind(connection: "DuckDBPyConnection") -> bool:
    """Whether the lake is at an earlier schema than this release's, or at none that was written down."""
    found = read_release(connection)
    return found is None or found.schema_version < SCHEMA_VERSION


@contextmanager
def explain_age(connection: "DuckDBPyConnection") -> Iterator[None]:
    """Raise `Unavailable` where a table or column is missing because the lake is still at an earlier release."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        if not is_behind(connection):
            raise
        raise Unavailable(
            f"the lake is at an earlier release and lacks what scorelake {read_own_name()} needs; "
            f"bring it up to date with `scorelake apply`: {error}"
        ) from error


@contextmanager
def explain_format() -> Iterator[None]:
    """Raise `LaterRelease` where DuckLake says that the catalog is in a format of another release of its own."""
    try:
        yield
    except duckdb.Error as error:
        if "version" not in str(error):
            raise
        raise LaterRelease(
            f"the lake's catalog is in a format that the DuckLake of scorelake {read_own_name()} (duckdb "
            f"{duckdb.__version__}) does not read: {error}. Install the release that wrote it, or a later one; nothing "
            "was changed"
        ) from error


def _describe(found: Release, verb: str) -> str:
    return (
        f"scorelake {found.name} has brought the lake to schema {found.schema_version}; this is scorelake "
        f"{read_own_name()} with schema {SCHEMA_VERSION}, which must not {verb} it any more. Install scorelake "
        f"{found.name} or later; nothing was changed"
    )
