"""What a statement that a person wrote may be: one SELECT that reads tables of the lake, and nothing beside it.

A locked connection would refuse most of the rest, but not all: some table functions write where a database is attached
for reading, or open files behind DuckDB's back. So they are named that may be called, not those that may not.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from feature_repo.errors import BadData
from feature_repo.lake import quote_text

_LAKE_FUNCTIONS: Final = {
    "snapshots", "current_snapshot", "last_committed_snapshot", "options", "list_files", "table_info", "table_changes",
    "table_insertions", "table_deletions",
}  # fmt: skip
_TABLE_FUNCTIONS: Final = {
    *_LAKE_FUNCTIONS, *(f"ducklake_{name}" for name in _LAKE_FUNCTIONS),
    "range", "generate_series", "unnest", "repeat", "json_each", "json_tree",
    "duckdb_columns", "duckdb_functions", "duckdb_schemas", "duckdb_tables", "duckdb_types", "duckdb_views",
    "pragma_table_info", "pragma_version",
}  # fmt: skip
_FORBIDDEN_FUNCTIONS: Final = {"getenv", "nextval", "write_log"}
_PATH: Final = re.compile(r"[./\\:*?]")


def check_is_one_select(query: str) -> None:
    """Check that a text is one SELECT which reads the lake and does nothing else; raises `BadData` if it is not."""
    with duckdb.connect(config={"enable_external_access": False}) as parser:
        _check_kind(parser, query)
        tree = _read_tree(parser, query)
    functions = {name for name in _list_functions(tree) if name in _FORBIDDEN_FUNCTIONS}
    functions |= {name for name in _list_table_functions(tree) if name not in _TABLE_FUNCTIONS}
    if functions:
        names = ", ".join(sorted(functions))
        raise BadData(f"these functions do more than read the lake's tables, or hide what they read: {names}")
    files = sorted(name for name in _list_tables(tree) if _PATH.search(name))
    if files:
        raise BadData(f"expected tables of the lake, found what may be files: {', '.join(files)}")


def _check_kind(parser: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        kinds = [statement.type for statement in parser.extract_statements(query)]
    except duckdb.Error as error:
        raise BadData(f"this is not SQL that DuckDB reads: {error}") from None
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise BadData(f"expected exactly one SELECT, found {found}")


def _read_tree(parser: duckdb.DuckDBPyConnection, query: str) -> Any:
    """Read DuckDB's own syntax tree of a SELECT."""
    # Quoted, not bound: a first parameter costs DuckDB an import of pandas.
    row = parser.execute(f"select json_serialize_sql({quote_text(query)})").fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise BadData(f"expected exactly one plain SELECT; {tree.get('error_message', 'it could not be read')}")
    return tree


def _list_functions(tree: Any) -> set[str]:
    return {str(node["function_name"]).lower() for node in _walk(tree) if node.get("function_name")}


def _list_table_functions(tree: Any) -> set[str]:
    calls = (node["function"] for node in _walk(tree) if node.get("type") == "TABLE_FUNCTION")
    return {str(call["function_name"]).lower() for call in calls}


def _list_tables(tree: Any) -> set[str]:
    return {str(node["table_name"]) for node in _walk(tree) if node.get("type") == "BASE_TABLE"}


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    """All nodes of the tree, wherever they stand in it."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _walk(child)
