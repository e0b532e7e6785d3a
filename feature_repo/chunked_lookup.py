"""A lookup run in chunks of the spine, so that memory holds one chunk however long the spine is.

The statements are written in `point_in_time`; what a result is wanted for, and what its errors mean, is known to
whoever runs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final

import duckdb
import pyarrow as pa

from feature_repo.lake import Lake, read_lake
from feature_repo.point_in_time import ChunkedLookup

ROWS_PER_CHUNK: Final = 1_000_000


@contextmanager
def open_lookup(
    lake: Lake,
    lookup: ChunkedLookup,
    *,
    frames: dict[str, pa.Table],
    rows_per_batch: int,
    rows_per_chunk: int = ROWS_PER_CHUNK,
) -> Iterator[pa.RecordBatchReader]:
    """The spine's columns and the features, in the spine's order, computed while they are read.

    The spine is read on one connection and looked up on another, both at the same snapshot of the lake.

    Parameters
    ----------
    frames
        Tables that the spine's query may read, by their name in it.
    rows_per_batch, rows_per_chunk
        How many rows are given out at a time, and how many are looked up at a time; at most, and about.
    """
    with read_lake(lake) as spines, read_lake(lake) as tables:
        _begin_together(spines, tables)
        for name, frame in frames.items():
            spines.register(name, frame)
        chunks = spines.execute(lookup.read).to_arrow_reader(rows_per_chunk)
        batches = look_up_chunks(chunks, tables, lookup, rows_per_batch)
        first = next(batches)
        yield pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))


def look_up_chunks(
    chunks: pa.RecordBatchReader, tables: duckdb.DuckDBPyConnection, lookup: ChunkedLookup, rows_per_batch: int
) -> Iterator[pa.RecordBatch]:
    """The columns of the chunks and the features, in batches of at most so many rows; at least one, perhaps empty."""
    for chunk in _read_batches(chunks):
        # DuckDB finds it by its name. Registered in a transaction, every chunk would be kept to the end of that.
        __chunk = pa.Table.from_batches([chunk])
        for found in _read_batches(tables.execute(lookup.look_up).to_arrow_reader(rows_per_batch)):
            yield _put_beside(chunk, found)


def _read_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; an empty one if there are none, for a result has its columns even without a row."""
    first = next(reader, None)
    yield pa.RecordBatch.from_pylist([], schema=reader.schema) if first is None else first
    yield from reader


def _put_beside(chunk: pa.RecordBatch, found: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of the chunk whose numbers, from 1 on and without a gap, are the first column of what was found."""
    start = found.column(0)[0].as_py() - 1 if found.num_rows else 0
    rows = chunk.slice(start, found.num_rows)
    schema = pa.schema([*rows.schema, *list(found.schema)[1:]])
    return pa.RecordBatch.from_arrays([*rows.columns, *found.columns[1:]], schema=schema)


def _begin_together(*connections: duckdb.DuckDBPyConnection) -> None:
    while len({_begin(connection) for connection in connections}) > 1:
        for connection in connections:
            connection.execute("rollback")


def _begin(connection: duckdb.DuckDBPyConnection) -> int:
    """Begin a transaction, which ends with the connection, and name the snapshot that it sees."""
    connection.execute("begin transaction")
    found = connection.execute("select id from lake.current_snapshot()").fetchall()
    return int(found[0][0])
