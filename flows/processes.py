"""Processes that belong together: how they are recognised, also by somebody who comes later, and how they are ended."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

# Inherited by every process that a marked one starts, whatever session or parent it has by then.
MARK_VARIABLE: Final = "STARTED_BY_SCORELAKE_UP"
_RUN_VARIABLE: Final = "PREFECT__FLOW_RUN_ID"  # Prefect tells a flow run's process so which run it is
_SAME_START_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process as others find it again: after a restart, another one may have its number.

    Parameters
    ----------
    started_at
        Start of the process, seconds since 1970.
    """

    pid: int
    started_at: float

    def find(self) -> psutil.Process | None:
        """The process, None if it has ended."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at) < _SAME_START_SECONDS
            if is_same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


def mark_process(pid: int) -> ProcessMark:
    """Mark a process that is there."""
    return ProcessMark(pid, psutil.Process(pid).create_time())


def find_family(token: str, marks: Iterable[ProcessMark]) -> list[psutil.Process]:
    """Find the processes that bear a token or a mark, and all that they have started; never this process itself."""
    family = {process for mark in marks if (process := mark.find())}
    family |= {process for process in psutil.process_iter() if _read_variable(process, MARK_VARIABLE) == token}
    for process in tuple(family):
        with suppress(psutil.Error):
            family |= set(process.children(recursive=True))
    return [process for process in family if process.pid != os.getpid()]


def is_listening(pid: int, port: int) -> bool:
    """Whether a process, or one that it has started, is who listens on a TCP port: another may have been quicker."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                sockets = one.net_connections("tcp")
                if any(it.status == psutil.CONN_LISTEN and it.laddr.port == port for it in sockets):
                    return True
    return False


def end_processes(processes: Iterable[psutil.Process], *, patience_seconds: float) -> None:
    """End processes: all are asked, and those that have not gone in time are killed."""
    remaining = list(processes)
    for process in remaining:
        with suppress(psutil.Error):
            process.terminate()
    _, remaining = psutil.wait_procs(remaining, timeout=patience_seconds)
    for process in remaining:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(remaining, timeout=patience_seconds)


def list_flow_runs() -> set[str]:
    """The ids of the flow runs that have a process on this machine."""
    found = (_read_variable(process, _RUN_VARIABLE) for process in psutil.process_iter())
    return {run_id for run_id in found if run_id}


def _read_variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except (psutil.Error, OSError):  # gone, or somebody else's
        return None
