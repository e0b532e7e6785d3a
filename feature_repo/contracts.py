"""What follows from the declarations of `tables`: types, row rules, the data dictionary.

The DDL, the comments in the catalog, the quarantine's reasons and the data dictionary are all derived
from one declaration per table. What a table is filled with, and how, belongs elsewhere.
"""

from collections.abc import Iterable
from typing import Any, Final

import pandera.pandas as pa

from feature_repo.tables import features, monitoring, ops, raw, scores
from feature_repo.tables.columns import SQL_TYPES, is_expiring, is_required

TABLES: Final = (*raw.TABLES, *features.TABLES, *ops.TABLES, *monitoring.TABLES, *scores.TABLES)


def read_sql_types(table: pa.DataFrameSchema) -> dict[str, str]:
    """DuckDB type of each column of a table, in the order of declaration."""
    return {name: SQL_TYPES[column.dtype.type] for name, column in table.columns.items()}


def list_expiring() -> dict[str, tuple[str, ...]]:
    """The columns whose values expire with the retention of their source, by table."""
    found = {
        str(table.name): tuple(name for name, column in table.columns.items() if is_expiring(column))
        for table in TABLES
    }
    return {table: columns for table, columns in found.items() if columns}


def build_dictionary(tables: Iterable[pa.DataFrameSchema]) -> str:
    """Build the data dictionary of some tables as Markdown."""
    return "\n".join(_build_entry(table) for table in tables)


def _build_entry(table: pa.DataFrameSchema) -> str:
    types = read_sql_types(table)
    rows = [
        f"| {name} | {types[name]} | {'yes' if column.nullable else 'no'} | {column.description} |"
        for name, column in table.columns.items()
    ]
    key = ", ".join(table.unique)
    head = [f"## {table.name}", "", f"{table.description} Key: {key}.", "", "| column | type | null | meaning |"]
    return "\n".join([*head, "|---|---|---|---|", *rows, ""])


_PREDICATES: Final[dict[str, str]] = {
    "greater_than_or_equal_to": "{column} >= {min_value}",
    "in_range": "{column} between {min_value} and {max_value}",
    "str_length": "length({column}) between {min_value} and {max_value}",
    "str_matches": "regexp_matches({column}, {pattern})",
    "isin": "{column} in ({allowed_values})",
}


def build_row_rules(table: pa.DataFrameSchema) -> dict[str, str]:
    """Compile the checks of a table into SQL: reason code → condition that is true for a bad row.

    A null breaks only the rule `<column>_missing`, which required columns have.
    """
    rules = {}
    for name, column in table.columns.items():
        if is_required(column):
            rules[f"{name}_missing"] = f"{_quote(name)} is null"
        for check in column.checks:
            rules[f"{name}_{check.error}"] = f"not ({_build_predicate(name, check)})"
    return rules


def _build_predicate(column: str, check: Any) -> str:
    values = {key: _literal(value) for key, value in check.statistics.items()}
    return _PREDICATES[check.name].format(column=_quote(column), **values)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_literal(item) for item in value)
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"
