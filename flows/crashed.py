"""Flow runs whose process is gone although Prefect has them running: a killed worker leaves them, with their slots."""

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

_BEGUN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def mark_crashed(api: str, *, own_worker: str) -> tuple[str, ...]:
    """Mark the runs of the pool that have begun and have no process any more; returns their names.

    Nothing is marked while another worker is online: its runs may have their processes on another machine.

    Parameters
    ----------
    own_worker
        Name of the worker that is known to be gone, though its last sign of life may be recent.
    """
    with open_client(api) as client:
        if _has_other_worker(client, own_worker):
            return ()
        begun = _read_begun(client)
        alive = list_flow_runs()
        dead = [run for run in begun if str(run.id) not in alive]
        for run in dead:
            client.set_flow_run_state(run.id, Crashed(message="Its process is gone, with the worker that started it."))
    return tuple(run.name for run in dead)


def _has_other_worker(client: SyncPrefectClient, own_worker: str) -> bool:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:  # a new server: nothing has run yet
        return False
    online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
    workers = client.read_workers_for_work_pool(POOL, worker_filter=online)
    return any(worker.name != own_worker for worker in workers)


def _read_begun(client: SyncPrefectClient) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_BEGUN))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        limit=200,
    )
