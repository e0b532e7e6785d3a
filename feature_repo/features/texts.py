"""Text features of texts that are in no table, by the statement that computes those of a table."""

from collections.abc import Sequence
from itertools import pairwise

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


def list_pieces(text: str) -> dict[str, list[tuple[str, str]]]:
    """What each token id of a text stands for, by column and in its order: the piece of the text, and its kind.

    >>> list_pieces("Lovely day")["token_ids_v1"]
    [('lovely', 'word'), ('day', 'word'), ('lovely day', 'pair')]
    >>> list_pieces("Lovely day")["prefix_ids_v1"]
    [('love…', 'beginning')]
    """
    # Only the step of the statement that splits: what it splits into is nowhere kept.
    split = read_statement("text").partition(",\npieced as (")[0]
    with duckdb.connect() as connection:
        connection.execute("create table texts as select $text as text", {"text": text})
        found = connection.execute(f"{split} select tokens from split").fetchone()  # noqa: S608 - our statement
    words: list[str] = found[0] if found else []
    beginnings = [word[:length] for length in (4, 6) for word in words if len(word) > length]
    return {
        "token_ids_v1": [*((word, "word") for word in words), *((f"{a} {b}", "pair") for a, b in pairwise(words))],
        "prefix_ids_v1": [(f"{beginning}…", "beginning") for beginning in beginnings],
    }
