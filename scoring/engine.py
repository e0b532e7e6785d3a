"""Engines that run a plan's partitions: in this process, in local processes beside it, or on a Dask cluster."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake
from scoring.plan import ScorePlan
from scoring.staged import PartitionReceipt
from scoring.worker import get_ready, score_partition


class Engine(Protocol):
    """Where partitions are scored."""

    def open(self, partitions: int) -> AbstractContextManager[Executor | None]:
        """Open an executor for so many partitions; None if they are to be run here, one after the other."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Processes of this machine; one alone would cost more to start than it saves, and the work is done here."""

    workers: int = 2

    @contextmanager
    def open(self, partitions: int) -> Iterator[Executor | None]:
        """Open an executor for so many partitions."""
        workers = min(self.workers, partitions)
        if workers <= 1:
            yield None
            return
        # Spawned, not forked: DuckDB and OpenMP threads do not survive a fork.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
            for _ in range(workers):
                executor.submit(get_ready)  # while the plan is still being made
            try:
                yield executor
            except BrokenProcessPool as error:
                raise Unavailable(
                    "a scoring process died: it was killed, or the machine ran out of memory. What was finished is "
                    "kept; run it again, with a smaller SCORELAKE_PARTITION_ROWS if it happens again"
                ) from error


def run_partitions(
    lake: Lake, plan: ScorePlan, executor: Executor | None, *, on_progress: Callable[[int], None] = lambda _: None
) -> tuple[PartitionReceipt, ...]:
    """Score every partition of the plan; receipts in the order of the partitions.

    `on_progress` is told the rows of each partition as it ends.
    """
    receipts = []
    for receipt in _score(lake, plan, executor):
        on_progress(receipt.rows)
        receipts.append(receipt)
    return tuple(sorted(receipts, key=lambda receipt: receipt.index))


def _score(lake: Lake, plan: ScorePlan, executor: Executor | None) -> Iterator[PartitionReceipt]:
    shared = replace(plan, partitions=())
    if executor is None:
        yield from (score_partition(lake, shared, partition) for partition in plan.partitions)
        return
    futures = [executor.submit(score_partition, lake, shared, partition) for partition in plan.partitions]
    try:
        yield from (future.result() for future in as_completed(futures))
    finally:
        for future in futures:
            future.cancel()  # after a failure; those that are done do not mind
