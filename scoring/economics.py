"""What scoring costs: measured by stage, foretold from the runs before, and held against a budget.

The figures of a run stand in `ops.runs`; who acts on a refusal is elsewhere.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

import psutil

from feature_repo.errors import Refused

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake
    from scoring.staged import PartitionReceipt

# Before there has been a run: what public comments took, rounded up, and a modest core.
_BYTES_PER_ROW: Final = 200.0
_ROWS_PER_SECOND: Final = 20_000.0
_MIB: Final = 1 << 20
# What a row of a partition takes of a worker's memory while it is looked up and joined, at 60 tokens: rounded up.
_MEMORY_PER_ROW: Final = 6_000
_FEWEST_ROWS, _MOST_ROWS = 10_000, 200_000
_LAST_RUNS: Final = Path(__file__).with_name("last_runs.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a number of rows will take: seconds of the workers' work, and bytes of staged files."""

    seconds: float
    bytes_written: int


@dataclass(slots=True)
class StageMeter:
    """Collects what each stage of a run took: seconds, processor seconds of this process, and other figures."""

    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    _started: float = field(default_factory=perf_counter)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time inside towards a stage."""
        seconds, cpu = perf_counter(), process_time()
        try:
            yield
        finally:
            took = {"seconds": perf_counter() - seconds, "cpu_seconds": process_time() - cpu}
            self.stages[stage] = {name: round(value, 3) for name, value in took.items()}

    @property
    def seconds(self) -> float:
        """Seconds since the meter began."""
        return perf_counter() - self._started

    def add_workers(self, stage: str, receipts: Sequence["PartitionReceipt"]) -> None:
        """Add what the workers tell to the stage in which they worked."""
        rows = sum(receipt.rows for receipt in receipts)
        self.stages[stage] |= {
            "cpu_seconds": round(sum(receipt.cpu_seconds for receipt in receipts), 3),
            "rows_per_second": round(rows / max(self.stages[stage]["seconds"], 1e-3)),
            "bytes_written": sum(receipt.bytes_written for receipt in receipts),
            "peak_memory_mib": max((receipt.peak_memory_mib for receipt in receipts), default=0.0),
        }


def size_partitions(workers: int) -> int:
    """Rows per partition with which so many workers of this machine use no more than half of the memory that is free.

    Between 10,000, below which starting costs more than scoring, and 200,000, above which it is no faster.
    """
    share = psutil.virtual_memory().available // 2 // workers
    return min(_MOST_ROWS, max(_FEWEST_ROWS, share // _MEMORY_PER_ROW))


def estimate_cost(connection: "duckdb.DuckDBPyConnection", model: str, rows: int) -> Cost:
    """Foretell the cost of scoring so many rows from what a model's last runs took."""
    row = connection.execute(_LAST_RUNS, {"model": model}).fetchone()
    rows_per_second, bytes_per_row = row or (None, None)
    return Cost(rows / (rows_per_second or _ROWS_PER_SECOND), round(rows * (bytes_per_row or _BYTES_PER_ROW)))


def check_budget(lake: "Lake", cost: Cost, *, reserve_mib: int) -> None:
    """Refuse work whose files would not leave the reserve free on the lake's disk.

    The scores are staged, and those in force are written a second time.
    """
    free, needed = shutil.disk_usage(lake.home).free, 2 * cost.bytes_written
    if free - needed < reserve_mib * _MIB:
        raise Refused(
            f"scoring would write about {needed / _MIB:,.0f} MiB and leave less than the {reserve_mib:,} MiB of "
            f"SCORELAKE_DISK_RESERVE_MIB: {free / _MIB:,.0f} MiB are free at {lake.home}. Free some, or score less at "
            "a time with `scorelake backfill`; nothing was written"
        )
