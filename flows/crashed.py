"""Flow runs whose process is gone although Prefect has them running: a killed worker leaves them, with their slots.

A killed command leaves its run, too. Prefect tells the processes of its workers which run they are; a run of a command
says by a tag which process it is in.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from prefect import tags
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
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
from flows.processes import ProcessMark, list_flow_runs, mark_process

_TAG: Final = "process"
BEGUN: Final = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def mark_crashed(api: str, *, own_worker: str, before: datetime | None = None) -> tuple[str, ...]:
    """Mark the runs that `find_crashed` finds, which frees their slots; returns their names."""
    with open_client(api) as client:
        dead = _find(client, own_worker, before)
        for run in dead:
            client.set_flow_run_state(run.id, Crashed(message="Its process is gone, and could not say so itself."))
    return tuple(run.name for run in dead)


def find_crashed(api: str, *, own_worker: str, before: datetime | None = None) -> tuple[str, ...]:
    """Find the runs that have begun and have no process any more; returns their names, changes nothing.

    None of the pool is found while another worker is online: its runs may have their processes on another machine. Of
    those that commands have started, none of another machine is.

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


@contextmanager
def mark_process_of_runs() -> Iterator[None]:
    """Have every run that is started within say which process it is in."""
    own = mark_process(os.getpid())
    with tags(f"{_TAG}:{socket.gethostname()}:{own.pid}:{own.started_at:.2f}"):
        yield


def _find(client: SyncPrefectClient, own_worker: str, before: datetime | None) -> list[FlowRun]:
    dead = [run for run in _read_begun(client, of_commands=True) if _is_command_gone(run)]
    if all(name == own_worker for name in _list_workers(client)):
        begun = _read_begun(client)
        alive = list_flow_runs()
        still = {run.id for run in _read_begun(client)}  # one that ended meanwhile had its process before
        dead += [run for run in begun if run.id in still and str(run.id) not in alive]
    return [run for run in dead if before is None or run.state is None or run.state.timestamp < before]


def _is_command_gone(run: FlowRun) -> bool:
    """Whether the process that a command's run was in has ended; False if it cannot be known."""
    for tag in run.tags:
        name, host, pid, started_at = [*tag.split(":"), "", "", ""][:4]
        if name == _TAG and host == socket.gethostname():
            return ProcessMark(int(pid), float(started_at)).find() is None
    return False


def _list_workers(client: SyncPrefectClient) -> list[str]:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:  # a new server: nothing has run yet
        return []
    online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
    return [worker.name for worker in client.read_workers_for_work_pool(POOL, worker_filter=online)]


def _read_begun(client: SyncPrefectClient, *, of_commands: bool = False) -> list[FlowRun]:
    """The runs of the pool that have begun; or those that no deployment has started, but a command."""
    begun = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=BEGUN)),
        deployment_id=FlowRunFilterDeploymentId(is_null_=True) if of_commands else None,
    )
    pool = None if of_commands else WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    return client.read_flow_runs(flow_run_filter=begun, work_pool_filter=pool, limit=200)
