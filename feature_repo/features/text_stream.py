"""Text features of one text after the other, by a run of the statement that does not end.

Planning the statement and compiling its patterns takes DuckDB longer than describing a hundred texts, and no prepared
statement keeps the patterns. So it runs once, over a source that asks for the next texts when it has room for them; its
rows are taken from it in passing.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import DuckDBPyType

from feature_repo.features.texts import read_statement_with_tokens

# Rows of the source, each of which may be asked for texts: more than will ever be.
_ENDLESS: Final = 2**62


class TextStream:
    """The statement of the text features, running on a connection of its own; for one thread at a time."""

    def __init__(self) -> None:
        self._given: list[str] = []
        self._kept: list[pa.Table] = []
        self._lacking = 0
        self._is_running = False
        # Functions are called, and rows taken, in the thread that asks; whoever has more cores has more streams.
        self._connection = duckdb.connect(config={"threads": 1})
        # A single row is all that it may work ahead.
        self._connection.execute("set streaming_buffer_size = '1B'")
        self._query = self._prepare(read_statement_with_tokens())

    def describe(self, texts: Sequence[str]) -> pa.Table:
        """Text features and tokens of some texts, at least one: a row each, in their order, without the text itself."""
        self._given, self._kept, self._lacking = list(texts), [], len(texts)
        try:
            while self._lacking:
                self._advance()
        except BaseException:
            self._is_running = False  # the next texts begin it anew
            raise
        return pa.concat_tables(self._kept).drop_columns("text")

    def close(self) -> None:
        """End the statement."""
        self._connection.close()

    def _advance(self) -> None:
        if not self._is_running:
            self._connection.execute(self._query)
            self._is_running = True
        elif self._connection.fetchone() is None:
            raise RuntimeError("the statement ended, and cannot")

    def _prepare(self, statement: str) -> str:
        described = self._connection.sql(f"with texts as (select null::varchar as text) from ({statement})")  # noqa: S608
        row = duckdb.struct_type(dict(zip(described.columns, described.types, strict=True)))
        self._add_function("give", self._give, duckdb.sqltype("BIGINT"), "VARCHAR[]")
        self._add_function("keep", self._keep, row, "BOOLEAN")
        texts = f"select unnest(give(range)) as text from range({_ENDLESS})"  # noqa: S608 - ours
        return f"with texts as ({texts}) select keep(described) from ({statement}) as described"  # noqa: S608 - ours

    def _add_function(self, name: str, function: Callable[[Any], Any], takes: DuckDBPyType, gives: str) -> None:
        # It may act at each call, and is called for nulls, too: else they would be looked for in each column.
        self._connection.create_function(
            name,
            function,
            [takes],
            gives,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
            side_effects=True,
        )

    def _keep(self, rows: pa.ChunkedArray) -> pa.Array:
        """Take rows, unless they are of the text that it worked ahead with; what is returned is of no interest."""
        if self._lacking:
            self._kept.extend(pa.Table.from_struct_array(chunk) for chunk in rows.chunks)
            self._lacking -= len(rows)
        return pa.nulls(len(rows), pa.bool_())

    def _give(self, places: pa.ChunkedArray) -> pa.Array:
        """All that is given in the first of so many lists; where it works ahead an empty text, a row it must have."""
        texts, self._given = self._given or [""], []
        return pa.ListArray.from_arrays([0, *[len(texts)] * len(places)], pa.array(texts, pa.string()))
