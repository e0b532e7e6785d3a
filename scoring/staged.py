"""The staged files of one partition: its scores, the rows that could not be scored, and a sample of the features.

Its receipt is written last and ends the work: files without one are of a worker that was killed, and are written
anew. Workers import this module.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_repo.storages import Storage

SCORES: Final = "scores"
UNSCORED: Final = "unscored"
FEATURE_LOG: Final = "features"


@dataclass(frozen=True, slots=True)
class PartitionReceipt:
    """What came of a partition, and what it took the worker that did it.

    Parameters
    ----------
    files
        The staged files by kind; only kinds that have rows.
    rows, rows_unscored, rows_expired
        Rows that were scored; at which the model failed; that had lost their text before.
    seconds
        By stage: read (waiting for features), predict, write.
    cpu_seconds
        Of all threads of the worker.
    bytes_written
        Size of the staged files.
    peak_memory_mib
        Greatest resident memory of the worker's process so far.
    """

    index: int
    files: dict[str, str]
    rows: int
    rows_unscored: int
    rows_expired: int
    seconds: dict[str, float]
    cpu_seconds: float
    bytes_written: int
    peak_memory_mib: float


def read_receipt(storage: "Storage", folder: str, index: int) -> PartitionReceipt | None:
    """Read the receipt of a partition; None while its work is not done, or if a failed publication took its files."""
    try:
        receipt = PartitionReceipt(**json.loads(storage.read(_locate_receipt(folder, index))))
    except FileNotFoundError:
        return None
    return receipt if all(storage.measure(file) is not None for file in receipt.files.values()) else None


def save_receipt(storage: "Storage", folder: str, receipt: PartitionReceipt) -> None:
    """Write the receipt of a partition: from then on its work is done."""
    storage.write(_locate_receipt(folder, receipt.index), json.dumps(asdict(receipt)).encode())


class StagedFiles:
    """Writes the files of a partition, batch by batch."""

    def __init__(self, storage: "Storage", folder: str, index: int) -> None:
        self._storage = storage
        self._stem = f"{folder}/{index:05d}"
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._closing = ExitStack()
        self.rows: dict[str, int] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Have the files written, and closed whatever happens."""
        with self._closing:
            yield

    def append(self, kind: str, rows: "pa.Table") -> None:
        """Write the rows of a batch; no rows make no file."""
        if not len(rows):
            return
        if kind not in self._writers:
            draft = self._closing.enter_context(self._storage.open_draft(self._locate(kind)))
            writer = pq.ParquetWriter(draft, rows.schema, compression="zstd")
            self._writers[kind] = self._closing.enter_context(writer)
        self._writers[kind].write_table(rows)
        self.rows[kind] = self.rows.get(kind, 0) + len(rows)

    @property
    def paths(self) -> dict[str, str]:
        """The files by kind."""
        return {kind: self._locate(kind) for kind in self._writers}

    def count_bytes(self) -> int:
        """Size of the files, once they are closed."""
        return sum(self._storage.measure(file) or 0 for file in self.paths.values())

    def _locate(self, kind: str) -> str:
        return f"{self._stem}-{kind}.parquet"


def _locate_receipt(folder: str, index: int) -> str:
    return f"{folder}/{index:05d}.json"
