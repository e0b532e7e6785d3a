"""Raw rows in staging: one Parquet file per input file, written batch by batch, authors already hashed.

Staging lies outside of the lake's data and is gone when the command ends, however it ends.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as arrow
import pyarrow.parquet as parquet

from feature_repo.lake import Lake
from feature_repo.sources.readers import RawRow

Progress = Callable[[int], None]

_BATCH_ROWS: Final = 8_192
_BATCH_CHARS: Final = 16 * 2**20
_SCHEMA: Final = arrow.schema(
    {
        "row": arrow.int64(),
        "file": arrow.string(),
        "position": arrow.int64(),
        "unreadable": arrow.string(),
        "fields": arrow.map_(arrow.string(), arrow.string()),
    }
)


@contextmanager
def open_staging(lake: Lake, run_id: str) -> Iterator[Path]:
    """A folder of the run's own on the lake's filesystem, removed at the end."""
    folder = lake.staging / run_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
        with parquet.ParquetWriter(folder / f"rows-{number:04}.parquet", _SCHEMA, compression="lz4") as writer:
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
        chars += sum(len(value) for value in row.values if value)
        if len(batch) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _build_batch(rows: Sequence[RawRow], name: str, first_row: int) -> arrow.RecordBatch:
    ends = [0]
    for row in rows:
        ends.append(ends[-1] + len(row.keys))
    fields = arrow.MapArray.from_arrays(
        arrow.array(ends, arrow.int32()),
        arrow.array(list(chain.from_iterable(row.keys for row in rows)), arrow.string()),
        arrow.array(list(chain.from_iterable(row.values for row in rows)), arrow.string()),
    )
    columns = [
        arrow.array(range(first_row, first_row + len(rows)), arrow.int64()),
        arrow.array([name] * len(rows), arrow.string()),
        arrow.array([row.position for row in rows], arrow.int64()),
        arrow.array([row.fault for row in rows], arrow.string()),
        fields,
    ]
    return arrow.record_batch(columns, schema=_SCHEMA)
