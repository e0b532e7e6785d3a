"""The `.sql` files of this folder, read and filled in with numbers and instants of our own.

Values stand in the statements as literals, not as bound parameters: DuckLake leaves out the files that a literal
excludes. Nothing from outside gets in: ids and texts are never filled in.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from feature_repo.lake import quote_text

if TYPE_CHECKING:
    import duckdb

Literals = dict[str, str | int]

_HERE: Final = Path(__file__).parent


def build_statement(name: str, literals: Literals, **texts: str) -> str:
    """The statement in `<name>.sql`, its `$names` replaced by literals, and by statements of ours (`texts`)."""
    inside: Literals = {key: Template(text).safe_substitute(literals) for key, text in texts.items()}
    return Template(read_statement(name)).substitute(literals | inside)


def build_resolved(key: str, among: str, bounds: Literals, where: str = "true") -> str:
    """The query for the texts whose `key` is among those of a table of ours, with their channels.

    They are chosen before they are given a channel: only so is a filter made of the keys pushed into the files.
    """
    comments = f"from raw.comments semi join {among} on comments.{key} = {among}.{key} where {where}"
    return build_statement("resolved_texts", bounds, comments=comments)


@cache
def read_statement(name: str) -> str:
    """The text of `<name>.sql` as it stands."""
    return (_HERE / f"{name}.sql").read_text(encoding="utf-8")


def read_instants(connection: "duckdb.DuckDBPyConnection", query: str) -> Literals:
    """The instants in the one row of a query, as literals by the names of their columns; infinite ones too."""
    found = connection.execute(f"select cast(columns(*) as varchar) from ({query})")  # noqa: S608 - statements of ours
    names = [column[0] for column in found.description]
    row = found.fetchone() or ()
    return {name: f"timestamptz {quote_text(value)}" for name, value in zip(names, row, strict=True)}


def write_instant(instant: datetime) -> str:
    """An aware instant as a literal.

    >>> write_instant(datetime(2026, 11, 20, 12, tzinfo=UTC))
    "timestamptz '2026-11-20 12:00:00+00:00'"
    """
    return f"timestamptz {quote_text(instant.astimezone(UTC).isoformat(sep=' '))}"


def create_table(connection: "duckdb.DuckDBPyConnection", name: str, query: str) -> None:
    """Keep the result of a query under a name until the connection is closed, in place of an earlier one."""
    connection.execute(f"create or replace temporary table {name} as {query}")


def has_rows(connection: "duckdb.DuckDBPyConnection", table: str, where: str = "true") -> bool:
    """Whether a table of ours has a row of which a condition of ours holds."""
    return connection.execute(f"select 1 from {table} where {where} limit 1").fetchone() is not None  # noqa: S608


def copy_rows(connection: "duckdb.DuckDBPyConnection", query: str, file: Path) -> int:
    """Write the result of a query into a Parquet file (zstd); returns its rows."""
    done = connection.execute(f"copy ({query}) to {quote_text(str(file))} (format parquet, compression zstd)")
    return int((done.fetchone() or (0,))[0])
