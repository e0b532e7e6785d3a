"""Engines that run a plan's partitions: in this process, or in local processes beside it."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import replace

from scoring.plan import ScorePlan
from scoring.worker import PartitionReceipt, score_partition


def run_partitions(
    plan: ScorePlan, *, workers: int, on_progress: Callable[[int], None] = lambda _: None
) -> tuple[PartitionReceipt, ...]:
    """Score every partition of the plan; receipts in the order of the partitions.

    One partition, or one worker, runs here: starting a process costs more than it saves. `on_progress`
    is told the rows of each partition as it ends.
    """
    receipts = []
    for receipt in _score(plan, min(workers, len(plan.partitions))):
        on_progress(receipt.rows)
        receipts.append(receipt)
    return tuple(sorted(receipts, key=lambda receipt: receipt.index))


def _score(plan: ScorePlan, workers: int) -> Iterator[PartitionReceipt]:
    shared = replace(plan, partitions=())
    if workers <= 1:
        yield from (score_partition(shared, partition) for partition in plan.partitions)
        return
    # Spawned, not forked: DuckDB and OpenMP threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield from _score_on(executor, shared, plan)


def _score_on(executor: Executor, shared: ScorePlan, plan: ScorePlan) -> Iterator[PartitionReceipt]:
    futures = [executor.submit(score_partition, shared, partition) for partition in plan.partitions]
    yield from (future.result() for future in as_completed(futures))
