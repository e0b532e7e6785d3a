"""Flow runs whose process is gone although Prefect has them running: a killed worker leaves them, with their slots."""

from datetime import datetime
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkerFilter,
    WorkerFilterStatus,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.deployments import POOL
from flows.prefect_api import open_client
from flows.processes import list_flow_runs

BEGUN: Final = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def mark_crashed(api: str, *, own_worker: str, before: datetime | None = None) -> tuple[str, ...]:
    """Mark the runs that `find_crashed` finds, which frees their slots; returns their names."""
    with open_client(api) as client:
        dead = _find(client, own_worker, before)
        for run in dead:
            client.set_flow_run_state(run.id, Crashed(message="Its process is gone, with the worker that started it."))
    return tuple(run.name for run in dead)


def find_crashed(api: str, *, own_worker: str, before: datetime | None = None) -> tuple[str, ...]:
    """Find the runs of the pool that have begun and have no process any more; returns their names, changes nothing.

    None is found while another worker is online: its runs may have their processes on another machine.

    Parameters
    ----------
    own_worker
        Name of the worker whose runs are on this machine, though its last sign of life may be recent.
    before
        Only runs that were in their present state by then (UTC): a worker that is alive may still be starting others.
    """
    with open_client(api) as client:
        return tuple(run.name for run in _find(client, own_worker, before))


def has_worker(api: str) -> bool:
    """Whether any worker of the pool is online."""
    with open_client(api) as client:
        return bool(_list_workers(client))


def _find(client: SyncPrefectClient, own_worker: str, before: datetime | None) -> list[FlowRun]:
    if any(name != own_worker for name in _list_workers(client)):
        return []
    begun = _read_begun(client)
    alive = list_flow_runs()
    still = {run.id for run in _read_begun(client)}  # one that ended meanwhile had its process before
    dead = [run for run in begun if run.id in still and str(run.id) not in alive]
    return [run for run in dead if before is None or run.state is None or run.state.timestamp < before]


def _list_workers(client: SyncPrefectClient) -> list[str]:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:  # a new server: nothing has run yet
        return []
    online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
    return [worker.name for worker in client.read_workers_for_work_pool(POOL, worker_filter=online)]


def _read_begun(client: SyncPrefectClient) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=BEGUN))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        limit=200,
    )
