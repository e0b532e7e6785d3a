"""One SELECT on the lake, for people and scripts: read-only, locked, rows as a table or in a file."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb
from rich.console import Console

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_text, read_lake
from flows.report import Grid, Report, print_report
from flows.settings import read_settings
from flows.terminal import Format

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_SHOWN_ROWS: Final = 1_000
_READING: Final = {
    "ducklake_snapshots", "ducklake_table_info", "ducklake_table_changes", "ducklake_table_insertions",
    "ducklake_table_deletions", "ducklake_list_files", "ducklake_last_committed_snapshot", "ducklake_options",
}  # fmt: skip
_FORBIDDEN: Final = {"query", "query_table", "sqlite_query", "sqlite_scan", "postgres_query", "postgres_scan"}


def run_query(query: str, format_: Format, output: Path | None) -> None:
    """Run one SELECT and write its rows; raises `BadData` for anything else, or what DuckDB refuses."""
    if output is None and format_ is Format.parquet:
        raise BadData("Parquet is not for a terminal; name a file with --output")
    lake = read_settings().lake
    if output is None and format_ is Format.table:
        print_report(_select(lake, query, _read_report), Console())
    else:
        write_rows(read_rows(lake, query), format_, output)


def read_rows(lake: Lake, query: str) -> "pa.Table":
    """Read the rows of one SELECT on a connection that can neither write nor look outside the lake."""
    return _select(lake, query, lambda cursor: cursor.to_arrow_table())


def _select(lake: Lake, query: str, fetch: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    _check_is_one_select(query)
    with read_lake(lake, is_locked=True) as connection:
        try:
            return fetch(connection.execute(query))
        except duckdb.Error as error:
            raise BadData(f"DuckDB says: {error}") from None


def _read_report(cursor: duckdb.DuckDBPyConnection) -> Report:
    # Plain tuples: Arrow would take longer to import than the query takes to run.
    names = tuple(column[0] for column in cursor.description)
    shown = tuple(cursor.fetchmany(_SHOWN_ROWS))
    more = len(cursor.fetchall())
    notes = (f"{more:,} more rows; use --format csv to see all",) if more else ()
    return Report(f"{len(shown) + more:,} rows", grids=(Grid(names, shown),), notes=notes)


def _check_is_one_select(query: str) -> None:
    try:
        kinds = [statement.type for statement in duckdb.extract_statements(query)]
    except duckdb.Error as error:
        raise BadData(f"this is not SQL that DuckDB reads: {error}") from None
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise BadData(f"expected exactly one SELECT, found {found}")
    forbidden = sorted(name for name in _list_functions(query) if _is_forbidden(name))
    if forbidden:
        raise BadData(f"these functions do more than read, or hide what they read: {', '.join(forbidden)}")


def _list_functions(query: str) -> set[str]:
    """Names of all functions in a SELECT, wherever they stand in it, from DuckDB's own syntax tree."""
    # Quoted, not bound: a first parameter costs DuckDB an import of pandas.
    row = duckdb.execute(f"select json_serialize_sql({quote_text(query)})").fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise BadData(f"expected exactly one plain SELECT; {tree.get('error_message', 'it could not be read')}")
    return set(_walk(tree))


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("function_name"):
            yield str(node["function_name"]).lower()
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _walk(child)


def _is_forbidden(name: str) -> bool:
    # Some of DuckLake's table functions delete files even where the catalog is attached read-only.
    return name in _FORBIDDEN or (name.startswith("ducklake_") and name not in _READING)


def write_rows(rows: "pa.Table", format_: Format, output: Path | None) -> None:
    """Write rows to a file, or to the terminal if None; a table in a file is CSV."""
    relation = duckdb.from_arrow(rows)
    target = str(output or "/dev/stdout")
    try:
        if format_ is Format.parquet:
            relation.write_parquet(target, compression="zstd")
        elif format_ is Format.json:
            duckdb.execute("copy (from relation) to $1 (format json, array true)", [target])
        else:
            relation.write_csv(target, header=True)
    except duckdb.IOException as error:
        raise BadData(f"cannot write {target}: {error}") from None
    sys.stdout.flush()
