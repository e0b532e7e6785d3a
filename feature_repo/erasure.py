"""Erasure: all that the lake's tables hold of some comments or authors goes, whichever table holds it.

Which tables there are is read from the lake, so that none is forgotten; what a column may hold is told by its name.
Aggregates among the features, such as the windows of channels, stay as numbers. Bringing the rows off the disk is
`upkeep`'s, the files beside the lake are `sweep`'s.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, quote_name, quote_text, read_lake, run_transaction, write_lake
from feature_repo.traces import Traces

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_FOLDER: Final = Path(__file__).parent
_COLUMNS: Final = """
select schema_name || '.' || table_name, list(column_name order by column_index)
from duckdb_columns()
where database_name = 'lake' and data_type in ('VARCHAR', 'VARCHAR[]')
group by all
order by all
"""
# A row with such a column is about the comment; it goes.
COMMENT_COLUMN: Final = "comment_id"
# A row as it came in, as JSON; it goes if it names the comment, the author or the text.
SOURCE_COLUMN: Final = "payload"
# The comment that a row answers; the row stays, and so does that it answers one.
PARENT_COLUMN: Final = "parent_id"
# Sentences and JSON in which a comment may be named; they stay without its name.
PROSE_COLUMNS: Final = frozenset({"details", "example", "message"})
# What else of an erased row must not outlive it in the catalog's statistics.
_PERSONAL_COLUMNS: Final = frozenset({"text_id", "author_id", "text"})

Columns = Mapping[str, tuple[str, ...]]
Check = Callable[["duckdb.DuckDBPyConnection"], None]
Within = Callable[["duckdb.DuckDBPyConnection", Mapping[str, int]], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is erased.

    Parameters
    ----------
    comment_ids
        Comments, sorted; named ones, and those of the authors.
    author_count
        How many authors were named.
    traces
        By which they are found in texts: their ids, those of the authors, and texts that nobody else wrote.
    """

    comment_ids: tuple[str, ...]
    author_count: int
    traces: Traces


def find_subject(lake: Lake, comment_ids: Collection[str], authors: Mapping[str, str]) -> Subject:
    """Find the comments of some authors, and the texts of all.

    Parameters
    ----------
    comment_ids
        As the lake has them; what it does not know is looked for all the same.
    authors
        Ids of authors as they were given → as the lake has them, hashed.
    """
    bound = {"comment_ids": list(comment_ids), "author_ids": list(authors.values())}
    with read_lake(lake) as connection:
        connection.execute(_read_sql("erased_comments"), bound)
        found = tuple(sorted(name for (name,) in connection.execute("from erased_comments").fetchall()))
        texts = frozenset(text for (text,) in connection.execute(_read_sql("erased_texts")).fetchall())
    return Subject(found, len(authors), Traces(frozenset({*found, *authors.keys(), *authors.values()}), texts))


def list_erased_columns(lake: Lake) -> dict[str, tuple[str, ...]]:
    """The columns of the lake's tables that may have held what is erased, by table."""
    erased = {COMMENT_COLUMN, SOURCE_COLUMN, PARENT_COLUMN, *PROSE_COLUMNS, *_PERSONAL_COLUMNS}
    with read_lake(lake) as connection:
        columns = _read_columns(connection)
    found = {table: tuple(name for name in names if name in erased) for table, names in columns.items()}
    return {table: names for table, names in found.items() if names}


def count_rows(lake: Lake, subject: Subject) -> dict[str, int]:
    """How many rows of each table an erasure would delete; tables without any are left out."""
    with read_lake(lake) as connection:
        _register(connection, subject)
        counts = {
            table: int(connection.execute(f"select count(*) from {quote_name(table)} where {where}").fetchall()[0][0])  # noqa: S608 - quoted
            for table, where in _find_rows(_read_columns(connection), subject)
        }
    return {table: count for table, count in counts.items() if count}


def erase_rows(
    lake: Lake, subject: Subject, *, check: Check = lambda _: None, within: Within = lambda _connection, _rows: None
) -> dict[str, int]:
    """Delete every row about the comments, and their names elsewhere, in one transaction; returns rows by table.

    Replies stay: what they answer gets a random name, under which they stay together.

    Parameters
    ----------
    check
        Called under the writer lock, before anything is deleted; what it raises ends the erasure.
    within
        Called within the transaction with the rows that were deleted by table, for what rests on them.

    Raises
    ------
    Unavailable
        If another writer holds the lake for too long.
    """
    with write_lake(lake, purpose="erasure") as connection:
        check(connection)
        rows = run_transaction(connection, lambda inside: _erase(inside, subject, within))
    _log.info("erased rows=%d tables=%d", sum(rows.values()), len(rows))
    return rows


def _erase(connection: "duckdb.DuckDBPyConnection", subject: Subject, within: Within) -> dict[str, int]:
    _register(connection, subject)
    columns = _read_columns(connection)
    counts = {
        table: int(connection.execute(f"delete from {quote_name(table)} where {where}").fetchall()[0][0])  # noqa: S608 - quoted
        for table, where in _find_rows(columns, subject)
    }
    for table, names in columns.items():
        if PARENT_COLUMN in names:
            _rename_parents(connection, table)
        for name in PROSE_COLUMNS.intersection(names):
            _redact(connection, table, name, subject.traces)
    rows = {table: count for table, count in counts.items() if count}
    within(connection, rows)
    return rows


def _find_rows(columns: Columns, subject: Subject) -> Iterator[tuple[str, str]]:
    """Tables with rows that go, each with the condition under which a row does."""
    for table, names in columns.items():
        if COMMENT_COLUMN in names:
            yield table, f"{COMMENT_COLUMN} in (select comment_id from erased_comments)"  # noqa: S608 - our names
        elif SOURCE_COLUMN in names:
            yield table, f"regexp_matches({SOURCE_COLUMN}, {quote_text(subject.traces.whole)})"


def _rename_parents(connection: "duckdb.DuckDBPyConnection", table: str) -> None:
    """Call erased parents otherwise, by a hash with a key that nobody keeps."""
    connection.execute(
        f"update {quote_name(table)} set {PARENT_COLUMN} = 'erased-' || left(sha256({PARENT_COLUMN} || $key), 16) "  # noqa: S608 - our names
        f"where {PARENT_COLUMN} in (select comment_id from erased_comments)",
        {"key": secrets.token_hex(16)},
    )


def _redact(connection: "duckdb.DuckDBPyConnection", table: str, column: str, traces: Traces) -> None:
    values = connection.execute(f"select distinct {column} from {quote_name(table)} where {column} is not null")  # noqa: S608 - our names
    changes = {value: traces.redact(value) for (value,) in values.fetchall()}
    for value, redacted in changes.items():
        if redacted != value:
            connection.execute(
                f"update {quote_name(table)} set {column} = $redacted where {column} = $value",  # noqa: S608 - our names
                {"redacted": redacted, "value": value},
            )


def _register(connection: "duckdb.DuckDBPyConnection", subject: Subject) -> None:
    bound = {"comment_ids": list(subject.comment_ids), "author_ids": []}
    connection.execute(_read_sql("erased_comments"), bound)


def _read_columns(connection: "duckdb.DuckDBPyConnection") -> dict[str, tuple[str, ...]]:
    return {table: tuple(names) for table, names in connection.execute(_COLUMNS).fetchall()}


def _read_sql(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
