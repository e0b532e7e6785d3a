"""Text features of texts that are in no table, by the statement that computes those of a table."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from feature_repo.features.statements import read_statement


def describe_texts(texts: Sequence[str]) -> pa.Table:
    """Text features of some texts: one row each, in their order, without the text itself.

    >>> describe_texts(["GREAT!"]).select(["text_chars", "capital_share"]).to_pylist()
    [{'text_chars': 6, 'capital_share': 1.0}]
    """
    given = pa.table({"place": range(len(texts)), "text": pa.array(texts, pa.string())})
    with duckdb.connect() as connection:
        connection.register("texts", given)
        statement = f"select * exclude (place, text) from ({read_statement('text')}) order by place"  # noqa: S608 - ours
        return connection.execute(statement).to_arrow_table()
