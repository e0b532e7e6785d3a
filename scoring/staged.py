"""The staged files of one partition: its scores, the rows that could not be scored, and a sample of the features.

Its receipt is written last and ends the work: files without one are of a worker that was killed, and are written
anew. Workers import this module.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from feature_repo.whole_files import write_whole

if TYPE_CHECKING:
    import pyarrow as pa

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


def read_receipt(folder: Path, index: int) -> PartitionReceipt | None:
    """Read the receipt of a partition; None while its work is not done, or if a failed publication took its files."""
    file = _locate_receipt(folder, index)
    if not file.exists():
        return None
    receipt = PartitionReceipt(**json.loads(file.read_text()))
    return receipt if all(Path(path).exists() for path in receipt.files.values()) else None


def save_receipt(folder: Path, receipt: PartitionReceipt) -> None:
    """Write the receipt of a partition: from then on its work is done."""
    write_whole(_locate_receipt(folder, receipt.index), json.dumps(asdict(receipt)))


class StagedFiles:
    """Writes the files of a partition, batch by batch."""

    def __init__(self, folder: Path, index: int) -> None:
        self._stem = folder / f"{index:05d}"
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
            writer = pq.ParquetWriter(self._locate(kind), rows.schema, compression="zstd")
            self._writers[kind] = self._closing.enter_context(writer)
        self._writers[kind].write_table(rows)
        self.rows[kind] = self.rows.get(kind, 0) + len(rows)

    @property
    def paths(self) -> dict[str, str]:
        """The files by kind."""
        return {kind: str(self._locate(kind)) for kind in self._writers}

    def count_bytes(self) -> int:
        """Size of the files, once they are closed."""
        return sum(Path(path).stat().st_size for path in self.paths.values())

    def _locate(self, kind: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}-{kind}.parquet")


def _locate_receipt(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}.json"
