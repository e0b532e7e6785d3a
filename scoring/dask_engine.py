"""Partitions on a Dask cluster, for when one machine is too small. The only module that knows Dask.

The cluster's workers have the same release installed, and see the lake's files: those of a home under the same path. A
partition whose worker dies or is cut off is run again by another; what was finished is found in staging and not
computed again. Dask itself waits for ever where there is nobody to wait for; a run does not.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Unavailable

if TYPE_CHECKING:
    from distributed import Client

_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """A cluster, or as many processes of this machine as there are workers.

    Parameters
    ----------
    scheduler
        Address of the cluster's scheduler, such as "tcp://10.0.0.5:8786"; None for a cluster of one's own, on loopback,
        which ends with the run.
    workers
        Processes of a cluster of one's own.
    patience_seconds
        How long a scheduler may take to answer.
    idle_seconds
        How long a cluster may have no worker at all; one that grows on demand has none at first.
    """

    scheduler: str | None = None
    workers: int = 2
    patience_seconds: float = 10
    idle_seconds: float = 180

    @contextmanager
    def open(self, partitions: int) -> Iterator[Executor | None]:
        """Open an executor on the cluster; raises `Unavailable` if it does not answer, or is lost."""
        if partitions == 0:
            yield None
            return
        with self._connect(partitions) as client, _explain_loss(self.scheduler or "this machine"):
            executor: Executor = client.get_executor()  # type: ignore[no-untyped-call]
            with _give_up_without_workers(client, executor, self.idle_seconds):
                yield executor

    @contextmanager
    def _connect(self, partitions: int) -> "Iterator[Client]":
        from distributed import Client, LocalCluster  # noqa: PLC0415 - takes a second to import

        if self.scheduler is not None:
            try:
                client = Client(self.scheduler, timeout=self.patience_seconds)  # type: ignore[no-untyped-call]
            except (OSError, ValueError) as error:
                raise Unavailable(
                    f"no Dask scheduler at {self.scheduler}: {error}; start one, or set another"
                ) from error
            with client:
                yield client
            return
        own = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=max(1, min(self.workers, partitions)),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        )
        with own, Client(own) as client:  # type: ignore[no-untyped-call]
            yield client


@contextmanager
def _give_up_without_workers(client: "Client", executor: Executor, idle_seconds: float) -> Iterator[None]:
    """Cancel what is asked of a cluster once it has had no worker for so long."""
    is_over = threading.Event()

    def watch() -> None:
        last_seen = monotonic()
        while not is_over.wait(min(_LOOK_SECONDS, idle_seconds)):
            with suppress(OSError):  # a scheduler that is gone the client notices itself
                if client.nthreads() or not client.futures:  # type: ignore[no-untyped-call]
                    last_seen = monotonic()
                elif monotonic() - last_seen > idle_seconds:
                    executor.shutdown(wait=False)
                    return

    watching = threading.Thread(target=watch, name="dask workers", daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()


@contextmanager
def _explain_loss(place: str) -> Iterator[None]:
    """Raise `Unavailable` where Dask has given up."""
    from distributed import KilledWorker  # noqa: PLC0415 - takes a second to import
    from distributed.comm.core import CommClosedError  # noqa: PLC0415

    kept = "What was finished is kept; look after the cluster, and run it again"
    try:
        yield
    except (CancelledError, CommClosedError) as error:
        raise Unavailable(f"the Dask cluster at {place} has no workers, or lost its scheduler. {kept}") from error
    except KilledWorker as error:
        raise Unavailable(
            f"{error.allowed_failures + 1} workers of the Dask cluster at {place} died at one partition, out of memory "
            f"perhaps: try a smaller SCORELAKE_PARTITION_ROWS. {kept}"
        ) from error
