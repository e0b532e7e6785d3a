"""How tables come to be: the lake is brought to its declarations, forward only.

What is declared is in `contracts`. Rows stay as they are, but for the columns that features of comments gain: null in
the rows of before, they would be silently other features than those of new rows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from pandera.pandas import DataFrameSchema

from feature_repo.contracts import read_sql_types
from feature_repo.errors import BadData
from feature_repo.features.late_columns import fill_columns, find_unfilled
from feature_repo.lake import quote_name, quote_text
from feature_repo.release import READABLE_SINCE, SCHEMA_VERSION, LaterRelease, Release, read_own_name
from feature_repo.tables.features import COMMENT_FEATURES
from feature_repo.tables.ops import RELEASES

if TYPE_CHECKING:
    import duckdb

Columns: TypeAlias = Mapping[str, tuple[str, str, bool]]  # name → (type, comment, whether it may be null)
_SHORT_TYPES: Final = {"TIMESTAMP WITH TIME ZONE": "timestamptz"}


def find_outdated(
    connection: "duckdb.DuckDBPyConnection", tables: Sequence[DataFrameSchema]
) -> tuple[DataFrameSchema, ...]:
    """Find the tables that the lake lacks or has otherwise than declared; one cheap query."""
    found = _read_columns(connection)
    return tuple(table for table in tables if not _is_as_declared(found[str(table.name)], _declare_columns(table)))


def migrate_tables(connection: "duckdb.DuckDBPyConnection", tables: Sequence[DataFrameSchema]) -> tuple[str, ...]:
    """Create or extend tables until they match their declarations; safe to repeat.

    Columns are added or allowed to be null, never dropped or retyped. What rows of features.comment_features lack by
    then is filled, see `late_columns`. Returns the names of the tables that changed.
    Run it in one transaction: each statement of its own would be a commit of its own.

    Raises
    ------
    LaterRelease
        If a table has a column that is not declared.
    BadData
        If a column has another type than is declared.
    """
    found = _read_columns(connection)
    outdated = find_outdated(connection, tables)
    for table in outdated:
        _migrate_table(connection, table, found[str(table.name)])
    features = [str(table.name) for table in tables if table is COMMENT_FEATURES]
    filled = [name for name in features if _fill(connection, found[name])]
    return tuple(dict.fromkeys([*(str(table.name) for table in outdated), *filled]))


def write_release(connection: "duckdb.DuckDBPyConnection", before: Release | None, now: datetime) -> None:
    """Write down what the lake is at after a migration, within its transaction.

    Parameters
    ----------
    before
        What it was at when the migration began, which may have written the table's comment anew.
    """
    if before is None or before.schema_version < SCHEMA_VERSION:
        before = Release(SCHEMA_VERSION, READABLE_SINCE, read_own_name())
        connection.execute(
            "insert into ops.releases (schema_version, readable_since, release, migrated_at) values (?, ?, ?, ?)",
            [before.schema_version, before.readable_since, before.name, now],
        )
    comment = quote_text(f"{RELEASES.description} {before.mark}")
    connection.execute(f"comment on table {quote_name(str(RELEASES.name))} is {comment}")


def _fill(connection: "duckdb.DuckDBPyConnection", found: Columns) -> bool:
    """Fill what the features of comments have gained, or lack since an earlier migration; whether there was any."""
    gained = COMMENT_FEATURES.columns.keys() - found.keys() if found else set()
    lacking = gained.union(find_unfilled(connection))
    fill_columns(connection, sorted(lacking))
    return bool(lacking)


def _migrate_table(connection: "duckdb.DuckDBPyConnection", table: DataFrameSchema, found: Columns) -> None:
    name = str(table.name)
    types = read_sql_types(table)
    if found:
        _add_columns(connection, name, found, types)
        _allow_nulls(connection, table, found)
    else:
        schema = name.split(".", maxsplit=1)[0]
        columns = ", ".join(
            f"{quote_name(column)} {sql_type}" + ("" if table.columns[column].nullable else " not null")
            for column, sql_type in types.items()
        )
        connection.execute(f"create schema if not exists {quote_name(schema)}")
        connection.execute(f"create table {quote_name(name)} ({columns})")
    _write_comments(connection, table)


def _declare_columns(table: DataFrameSchema) -> Columns:
    types = read_sql_types(table)
    return {name: (types[name], str(column.description), column.nullable) for name, column in table.columns.items()}


def _is_as_declared(found: Columns, declared: Columns) -> bool:
    # A column that was added later may be null whatever is declared: the rows before it have no value.
    return found.keys() == declared.keys() and all(
        found[name] in (column, (*column[:2], True)) for name, column in declared.items()
    )


def _read_columns(connection: "duckdb.DuckDBPyConnection") -> defaultdict[str, dict[str, tuple[str, str, bool]]]:
    rows = connection.execute(
        "select schema_name || '.' || table_name, column_name, data_type, comment, is_nullable "
        "from duckdb_columns() where database_name = 'lake' order by column_index"
    ).fetchall()
    tables: defaultdict[str, dict[str, tuple[str, str, bool]]] = defaultdict(dict)
    for table, column, found, comment, is_nullable in rows:
        tables[table][column] = (_SHORT_TYPES.get(found, found.lower()), comment, is_nullable)
    return tables


def _add_columns(connection: "duckdb.DuckDBPyConnection", name: str, found: Columns, types: Mapping[str, str]) -> None:
    unknown = [column for column in found if column not in types]
    if unknown:
        raise LaterRelease(
            f"{name} was made by another version of scorelake: it has the columns {unknown}, which this one does not "
            "know; use the version that made the lake, or a later one"
        )
    changed = [column for column, (sql_type, *_) in found.items() if types[column] != sql_type]
    if changed:
        raise BadData(
            f"{name} was made by another version of scorelake: its columns {changed} are not as declared; "
            "use the version that made the lake"
        )
    for column in types.keys() - found.keys():
        connection.execute(f"alter table {quote_name(name)} add column {quote_name(column)} {types[column]}")


def _allow_nulls(connection: "duckdb.DuckDBPyConnection", table: DataFrameSchema, found: Columns) -> None:
    for column, (*_, is_nullable) in found.items():
        if table.columns[column].nullable and not is_nullable:
            connection.execute(f"alter table {quote_name(str(table.name))} alter {quote_name(column)} drop not null")


def _write_comments(connection: "duckdb.DuckDBPyConnection", table: DataFrameSchema) -> None:
    name = quote_name(str(table.name))
    connection.execute(f"comment on table {name} is {quote_text(str(table.description))}")
    for column, declared in table.columns.items():
        text = quote_text(str(declared.description))
        connection.execute(f"comment on column {name}.{quote_name(column)} is {text}")
