"""Partitions on a Dask cluster, for when one machine is too small. The only module that knows Dask.

The cluster's workers see the lake's home under the same path, and have the same release installed. A partition whose
worker dies is run again by another; what was finished is found in staging and not computed again.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from feature_repo.errors import Unavailable


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
    """

    scheduler: str | None = None
    workers: int = 2
    patience_seconds: float = 10

    @contextmanager
    def open(self, partitions: int) -> Iterator[Executor | None]:
        """Open an executor on the cluster; raises `Unavailable` if it does not answer."""
        if partitions == 0:
            yield None
            return
        from distributed import Client, LocalCluster  # noqa: PLC0415 - takes a second to import

        if self.scheduler is not None:
            try:
                client = Client(self.scheduler, timeout=self.patience_seconds)  # type: ignore[no-untyped-call]
            except (OSError, ValueError) as error:
                raise Unavailable(
                    f"no Dask scheduler at {self.scheduler}: {error}; start one, or set another"
                ) from error
            with client:
                yield client.get_executor()  # type: ignore[no-untyped-call]
            return
        workers = max(1, min(self.workers, partitions))
        with (
            LocalCluster(workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,  # type: ignore[no-untyped-call]
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield client.get_executor()
