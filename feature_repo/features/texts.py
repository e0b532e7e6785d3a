"""Text features of texts that are in no table, by the statement that computes those of a table."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import duckdb
import pyarrow as pa

from feature_repo.features.statements import read_statement

_GIVEN: Final = "with texts as (select unnest(range(len($1))) as place, unnest($1::varchar[]) as text)"
# What the statement leaves out at its end, and what it leaves out for whoever wants to see the tokens.
_LEFT_OUT: Final = "lowered, letters, tokens, pieces"
_LEFT_OUT_BESIDE_TOKENS: Final = "lowered, letters, pieces"


class TextDescriber:
    """The statement of the text features on a connection of its own; for one thread at a time.

    Most of what a few texts cost DuckDB spends on planning and on compiling the statement's patterns: give it many at
    once.
    """

    def __init__(self) -> None:
        # Whoever has more cores has more describers.
        self._connection = duckdb.connect(config={"threads": 1})
        statement = read_statement("text")
        self._describe = _write_query(statement)
        self._describe_with_tokens = _write_query(statement.replace(_LEFT_OUT, _LEFT_OUT_BESIDE_TOKENS))

    def describe(self, texts: Sequence[str], *, with_tokens: bool = False) -> pa.Table:
        """Text features of some texts: one row each, in their order, without the text itself; perhaps its tokens."""
        query = self._describe_with_tokens if with_tokens else self._describe
        return self._connection.execute(query, [list(texts)]).to_arrow_table()


def _write_query(statement: str) -> str:
    return f"{_GIVEN} select * exclude (place, text) from ({statement}) order by place"  # noqa: S608 - ours


def describe_texts(texts: Sequence[str]) -> pa.Table:
    """Text features of some texts: one row each, in their order, without the text itself.

    >>> describe_texts(["GREAT!"]).select(["text_chars", "capital_share"]).to_pylist()
    [{'text_chars': 6, 'capital_share': 1.0}]
    """
    return TextDescriber().describe(texts)


def list_pieces(text: str) -> dict[str, list[tuple[str, str]]]:
    """What each token id of a text stands for, by column and in its order: the piece of the text, and its kind.

    >>> list_pieces("Lovely day")["token_ids_v1"]
    [('lovely', 'word'), ('day', 'word'), ('lovely day', 'pair')]
    >>> list_pieces("Lovely day")["prefix_ids_v1"]
    [('love…', 'beginning')]
    """
    return name_pieces(TextDescriber().describe([text], with_tokens=True).column("tokens")[0].as_py())


def name_pieces(words: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The same of a text that was split into its tokens."""
    beginnings = [word[:length] for length in (4, 6) for word in words if len(word) > length]
    return {
        "token_ids_v1": [*((word, "word") for word in words), *((f"{a} {b}", "pair") for a, b in pairwise(words))],
        "prefix_ids_v1": [(f"{beginning}…", "beginning") for beginning in beginnings],
    }
