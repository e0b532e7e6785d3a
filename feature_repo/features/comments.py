"""Features of comments' texts: which rows are owed, and the query for them.

What a feature is stands in `text.sql` and `comment_features.sql`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from feature_repo.features.statements import Literals, build_statement, create_table, read_instants, read_statement

if TYPE_CHECKING:
    import duckdb


def build_owed(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    """The query for the rows of features.comment_features that the batches `above` to `upto` add or change.

    Work grows with what is owed, not with the lake: files of other times are left out.
    """
    since = read_instants(connection, build_statement("owed_bounds", bounds))
    create_table(connection, "owed_texts", build_statement("owed_texts", bounds | since))
    return _build_query(connection, bounds)


def build_anew(connection: "duckdb.DuckDBPyConnection", comment_ids: Sequence[str], bounds: Literals) -> str:
    """The query for the rows of all texts of some comments, from what came up to `upto`."""
    connection.execute(
        "create or replace temporary table owed_texts as select comment_id, text_id, observed_at, published_at "
        "from raw.comments where list_contains($comment_ids, comment_id)",
        {"comment_ids": list(comment_ids)},
    )
    return _build_query(connection, bounds)


def build_lacking(connection: "duckdb.DuckDBPyConnection", is_lacking: str, bounds: Literals) -> str:
    """The query for the rows, from what came up to `upto`, of texts with a row of which a condition of ours holds."""
    create_table(connection, "owed_texts", build_statement("lacking_texts", {}, is_lacking=is_lacking))
    return _build_query(connection, bounds)


def _build_query(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    found = read_instants(
        connection,
        "select coalesce(min(observed_at), timestamptz 'infinity') as texts_from, "
        "coalesce(max(observed_at), timestamptz '-infinity') as texts_to, "
        "coalesce(min(coalesce(published_at, timestamptz '-infinity')), timestamptz 'infinity') as published_from "
        "from owed_texts",
    )
    return build_statement("comment_features", bounds | found, text_features=read_statement("text"))
