"""Raw rows in staging: one Parquet file per input file, written batch by batch, authors already hashed.

The folder that they lie in is `leftovers`'.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from feature_repo.sources.readers import RawRow

Progress = Callable[[int], None]

_BATCH_ROWS: Final = 8_192
_BATCH_CHARS: Final = 16 * 2**20
# Rows of a file share their keys: told apart first, they become an array in an eighth of the time.
_REPEATED: Final = pa.dictionary(pa.int32(), pa.string())
_SCHEMA: Final = pa.schema(
    {
        "row": pa.int64(),
        "file": pa.string(),
        "position": pa.int64(),
        "unreadable": pa.string(),
        "fields": pa.map_(pa.string(), pa.string()),
    }
)


def stage_files(
    files: Iterable[tuple[str, Iterable[RawRow]]], folder: Path, on_progress: Progress | None = None
) -> int:
    """Write the rows of each named file to `folder/rows-<n>.parquet`; the number of rows of all of them.

    The staged rows: row (from 0 over all files), file, position, unreadable (reason code or null) and
    fields (source column → text).

    Parameters
    ----------
    on_progress
        Called after each batch with the number of rows so far.
    """
    count = 0
    for number, (name, rows) in enumerate(files):
        path = folder / f"rows-{number:04}.parquet"
        with parquet.ParquetWriter(path, _SCHEMA, compression="lz4", use_dictionary=["file"]) as writer:
            for batch in _cut_batches(rows):
                writer.write_batch(_build_batch(batch, name, count))
                count += len(batch)
                if on_progress:
                    on_progress(count)
    return count


def _cut_batches(rows: Iterable[RawRow]) -> Iterator[Sequence[RawRow]]:
    batch: list[RawRow] = []
    chars = 0
    for row in rows:
        batch.append(row)
        chars += sum(map(len, filter(None, row.values)))
        if len(batch) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _build_batch(rows: Sequence[RawRow], name: str, first_row: int) -> pa.RecordBatch:
    ends = list(accumulate((len(row.keys) for row in rows), initial=0))
    fields = pa.MapArray.from_arrays(
        pa.array(ends, pa.int32()),
        pa.array(list(chain.from_iterable(row.keys for row in rows)), _REPEATED).dictionary_decode(),
        pa.array(list(chain.from_iterable(row.values for row in rows)), pa.string()),
    )
    columns = [
        pa.array(range(first_row, first_row + len(rows)), pa.int64()),
        pa.array([name] * len(rows), pa.string()),
        pa.array([row.position for row in rows], pa.int64()),
        pa.array([row.fault for row in rows], pa.string()),
        fields,
    ]
    return pa.record_batch(columns, schema=_SCHEMA)
