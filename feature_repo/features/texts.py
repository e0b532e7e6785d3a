"""Text features of texts that are in no table, by the statement that computes those of a table."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import duckdb
import pyarrow as pa

from feature_repo.features.statements import read_statement

_GIVEN: Final = "with texts as (select unnest(range(len($1))) as place, unnest($1::varchar[]) as text)"


def read_statement_with_tokens() -> str:
    """Read the statement of the text features that tells the tokens, too."""
    return read_statement("text").replace("lowered, letters, tokens, pieces", "lowered, letters, pieces")


def describe_texts(texts: Sequence[str], *, with_tokens: bool = False) -> pa.Table:
    """Text features of some texts: one row each, in their order, without the text itself; perhaps its tokens.

    Most of what a few texts cost DuckDB spends on planning and on compiling the statement's patterns: give it many at
    once, or a `TextStream` one after the other.

    >>> describe_texts(["GREAT!"]).select(["text_chars", "capital_share"]).to_pylist()
    [{'text_chars': 6, 'capital_share': 1.0}]
    """
    statement = read_statement_with_tokens() if with_tokens else read_statement("text")
    query = f"{_GIVEN} select * exclude (place, text) from ({statement}) order by place"  # noqa: S608 - ours
    with duckdb.connect() as connection:
        return connection.execute(query, [list(texts)]).to_arrow_table()


def list_pieces(text: str) -> dict[str, list[tuple[str, str]]]:
    """What each token id of a text stands for, by column and in its order: the piece of the text, and its kind.

    >>> list_pieces("Lovely day")["token_ids_v1"]
    [('lovely', 'word'), ('day', 'word'), ('lovely day', 'pair')]
    >>> list_pieces("Lovely day")["prefix_ids_v1"]
    [('love…', 'beginning')]
    """
    return name_pieces(describe_texts([text], with_tokens=True).column("tokens")[0].as_py())


def name_pieces(words: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The same of a text that was split into its tokens."""
    beginnings = [word[:length] for length in (4, 6) for word in words if len(word) > length]
    return {
        "token_ids_v1": [*((word, "word") for word in words), *((f"{a} {b}", "pair") for a, b in pairwise(words))],
        "prefix_ids_v1": [(f"{beginning}…", "beginning") for beginning in beginnings],
    }
