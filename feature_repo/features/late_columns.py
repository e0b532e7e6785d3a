"""Columns that features of comments gain with a release: filled for the rows that were computed without them.

They are computed by the statement of all rows, from everything known today. A row whose text has expired stays without:
it cannot be computed anew.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from feature_repo.contracts import list_expiring
from feature_repo.features.comments import build_lacking
from feature_repo.features.statements import build_statement
from feature_repo.lake import quote_name
from feature_repo.ledger import read_materialized_version
from feature_repo.tables.columns import is_required
from feature_repo.tables.features import COMMENT_FEATURES

if TYPE_CHECKING:
    import duckdb

_NAME: Final = str(COMMENT_FEATURES.name)


def find_unfilled(connection: "duckdb.DuckDBPyConnection") -> tuple[str, ...]:
    """Find the columns of features.comment_features that rows lack though they must have them.

    Reads which tokens are null: half a second for a million rows.
    """
    required = [name for name, column in COMMENT_FEATURES.columns.items() if is_required(column)]
    lacks = ", ".join(f"bool_or({quote_name(name)} is null)" for name in required)
    # Without any tokens its text has expired.
    is_there = " or ".join(f"{quote_name(name)} is not null" for name in list_expiring()[_NAME])
    found = connection.execute(f"select {lacks} from {quote_name(_NAME)} where {is_there}").fetchone()  # noqa: S608 - our names
    return tuple(name for name, is_lacking in zip(required, found or (), strict=True) if is_lacking)


def fill_columns(connection: "duckdb.DuckDBPyConnection", names: Collection[str]) -> None:
    """Fill columns of features.comment_features where they are null and the text is there; safe to repeat.

    Runs within the caller's transaction.
    """
    if not names:
        return
    is_lacking = " or ".join(f"{quote_name(name)} is null" for name in names)
    assignments = ", ".join(f"{quote_name(name)} = computed.{quote_name(name)}" for name in names)
    computed = build_lacking(connection, is_lacking, {"upto": read_materialized_version(connection)})
    connection.execute(build_statement("late_columns", {}, computed=computed, assignments=assignments))
