"""Everything an operator needs in one terminal: Prefect's server, UI and worker, the deployments, and MLflow's UI.

Each is a process of its own that is started again when it dies. All of them end with this one; if it was killed, the
next one ends them first.
"""

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
from filelock import FileLock, Timeout

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake
from flows.deployments import POOL
from flows.processes import MARK_VARIABLE, end_processes, find_family, is_listening, mark_process
from flows.report import Report
from flows.server import find_free_port, is_answering, set_environment
from flows.services import Service, describe_exit
from flows.up_state import SERVER, UP, UpState, locate_state, read_state, write_state
from training.registry import name_store, prepare_artifacts

Say = Callable[[str], None]
_ROOT: Final = Path(__file__).parents[1]
_WORKER: Final = "prefect-worker"
_MLFLOW: Final = "mlflow"
_REPORTS: Final = "reports"
_START_SECONDS: Final = 180
_RUN_PATIENCE_SECONDS: Final = 20  # for flow runs, which tell Prefect that they were ended
_PATIENCE_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.5
# A run can lose its process later than its worker: one that was being started by then dies without a word.
_CENSUS_SECONDS: Final = 30.0
_SUBMISSION: Final = timedelta(minutes=1)  # for so long a worker that lives may be starting a run


@dataclass(frozen=True, slots=True)
class UpReceipt:
    """What is up: addresses, how many deployments, runs that were found without a process, and where the logs are."""

    home: str
    prefect: str
    mlflow: str
    reports: str
    deployments: int
    crashed: tuple[str, ...]
    logs: str


def up(lake: Lake, database: str | None, say: Say, show: Callable[[UpReceipt], None]) -> None:
    """Start everything on a lake's home and keep it running until Ctrl-C or SIGTERM; then end all of it.

    Parameters
    ----------
    database
        Address of a PostgreSQL database for Prefect's server; a file in the home if None.
    say
        Is told what happens, in lines.
    show
        Is told what is up, once it is.

    Raises
    ------
    BadData
        If PREFECT_API_URL names another server.
    Unavailable
        If it runs on this home already, or something does not start.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        raise BadData(
            f"PREFECT_API_URL names a server already: {url}. Unset it, and `scorelake up` starts one of this home; or "
            "use that one with `scorelake deploy` and `prefect worker start --pool scorelake`"
        )
    with _hold_home(lake.home), _end_on_signals():
        _end_leftovers(lake.home, say)
        state, services = _plan(lake, database)
        try:
            show(_start_all(lake, state, services, say))
            _keep_running(lake.home, state.api, services, say)
        except KeyboardInterrupt:
            say("stopping")
        finally:
            _end_all(lake.home, state)
    say("stopped")


@contextmanager
def _hold_home(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "up.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Unavailable(_describe_running(home)) from None
    try:
        yield
    finally:
        lock.release()


def _describe_running(home: Path) -> str:
    state = read_state(home)
    if state is None:
        return f"another `scorelake up` is starting on {home}"
    process = state.processes[UP].pid
    return f"`scorelake up` runs on {home} already (process {process}): Prefect {state.prefect}, MLflow {state.mlflow}"


@contextmanager
def _end_on_signals() -> Iterator[None]:
    """Have SIGTERM and a closed terminal do what Ctrl-C does."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def end_dead(home: Path) -> None:
    """End what an `up` that was killed has left; nothing if there is none, or one runs."""
    if read_state(home) is not None:
        with suppress(Unavailable), _hold_home(home):
            _end_leftovers(home, lambda _: None)


def _end_leftovers(home: Path, say: Say) -> None:
    """End what an `up` that was killed has left: it holds ports, and the same database."""
    state = read_state(home)
    if state is None:
        return
    marks = [mark for name, mark in state.processes.items() if name != UP]
    if family := find_family(state.token, marks):
        say(f"ending {len(family)} processes that a killed `scorelake up` has left")
        end_processes(family, patience_seconds=_PATIENCE_SECONDS)
    locate_state(home).unlink()


def _plan(lake: Lake, database: str | None) -> tuple[UpState, dict[str, Service]]:
    set_environment(lake.home, database)
    prefect_port, mlflow_port, reports_port = (find_free_port(port) for port in (4200, 5000, 8600))
    token = secrets.token_hex(8)
    prefect, mlflow, reports = (f"http://127.0.0.1:{port}" for port in (prefect_port, mlflow_port, reports_port))
    state = UpState(token, prefect, mlflow, {UP: mark_process(os.getpid())}, reports)
    os.environ["PREFECT_API_URL"] = state.api
    environment = {MARK_VARIABLE: token, "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO", "NO_COLOR": "1"}
    artifacts = lake.storage.artifacts if lake.bucket else Path(lake.storage.artifacts).as_uri()
    commands = {
        SERVER: ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(prefect_port)],
        _MLFLOW: [
            *("mlflow", "server", "--host", "127.0.0.1", "--port", str(mlflow_port), "--workers", "1"),
            *("--default-artifact-root", artifacts, "--no-serve-artifacts"),
        ],
        _REPORTS: [
            *("http.server", str(reports_port), "--bind", "127.0.0.1"),
            *("--directory", str(lake.home / "reports")),
        ],
        _WORKER: ["prefect", "worker", "start", "--pool", POOL, "--name", UP],
        "apply": ["flows.cli", "apply", "--json"],
    }
    extra = {
        _MLFLOW: prepare_artifacts(lake)
        # Here, and not among the arguments, which every user of the machine may see: it may hold a password.
        | {"MLFLOW_BACKEND_STORE_URI": name_store(lake)}
        | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        _WORKER: {"PREFECT_WORKER_QUERY_SECONDS": "5"},
    }
    services = {
        name: Service(
            name,
            [sys.executable, "-m", *command],
            environment | extra.get(name, {}),
            _ROOT,
            lake.home / "logs" / f"{name}.log",
        )
        for name, command in commands.items()
    }
    return state, services


def _start_all(lake: Lake, state: UpState, services: dict[str, Service], say: Say) -> UpReceipt:
    home = lake.home
    write_state(home, state)  # before the first process: a kill in between must leave its token
    apply = services.pop("apply")
    (home / "reports").mkdir(exist_ok=True)
    for service in (services[SERVER], services[_MLFLOW], services[_REPORTS], apply):
        _start(home, service)
    say(f"starting on {home}: Prefect {state.prefect}, MLflow {state.mlflow}")
    # Prefect takes seconds to import, and the server takes longer to start.
    from flows.deploy import deploy  # noqa: PLC0415

    _wait_for(services[SERVER], f"{state.api}/health")
    crashed = _free_slots(state.api, say)
    apply.wait()
    deployed = deploy(state.api, home / "logs" / "deploy.log")
    _start(home, services[_WORKER])
    _wait_for(services[_MLFLOW], f"{state.mlflow}/health")
    count, logs = len(deployed.deployments), str(home / "logs")
    return UpReceipt(str(home), state.prefect, state.mlflow, state.reports, count, crashed, logs)


def _free_slots(api: str, say: Say, before: datetime | None = None) -> tuple[str, ...]:
    """Mark what a dead worker has left running: it would keep the slots of its deployments."""
    from flows.crashed import mark_crashed  # noqa: PLC0415 - as above

    crashed = mark_crashed(api, own_worker=UP, before=before)
    if crashed:
        say(f"marked as crashed, their processes are gone: {', '.join(crashed)}")
    return crashed


def _start(home: Path, service: Service) -> None:
    mark = service.start()
    state = read_state(home)
    if state is not None:
        write_state(home, replace(state, processes={**state.processes, service.name: mark}))


def _wait_for(service: Service, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    port = urlsplit(url).port or 0
    while not (is_answering(url) and service.process and is_listening(service.process.pid, port)):
        if service.read_exit() is not None or time.monotonic() > deadline:
            raise Unavailable(
                f"{service.name} did not start, or another program has taken port {port}; its log is {service.log}. "
                "Run it again"
            )
        time.sleep(0.2)


def _keep_running(home: Path, api: str, services: dict[str, Service], say: Say) -> None:
    looked_at = time.monotonic()
    while True:
        if time.monotonic() - looked_at > _CENSUS_SECONDS:
            with suppress(Unavailable):  # it is being started again
                _free_slots(api, say, datetime.now(UTC) - _SUBMISSION)
            looked_at = time.monotonic()
        for service in services.values():
            service.shorten_log()
            if (code := service.read_exit()) is not None:
                wait = f"starting it again in {service.wait_seconds:.0f} s (log: {service.log})"
                say(f"{service.name} {describe_exit(code)}; {wait}")
            elif service.is_due():
                _start_again(home, api, service, say)
        time.sleep(_LOOK_SECONDS)


def _start_again(home: Path, api: str, service: Service, say: Say) -> None:
    if service.name == _WORKER:
        if not is_answering(f"{api}/health"):
            return  # a worker can do nothing without it, and while one is there, nobody frees what the last one left
        with suppress(Unavailable):  # down again
            _free_slots(api, say)
    _start(home, service)
    say(f"{service.name} is started again")


def _end_all(home: Path, state: UpState) -> None:
    """End the worker and its flow runs, then everything else; another Ctrl-C changes nothing, patience is bounded."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    marks = dict((read_state(home) or state).processes)
    marks.pop(UP)
    worker = marks[_WORKER].find() if _WORKER in marks else None
    if worker is not None:
        with suppress(psutil.NoSuchProcess):
            runs = worker.children()
            worker.terminate()  # it begins no further run; one of Prefect 3.8 ends when it is asked twice
            end_processes(runs, patience_seconds=_RUN_PATIENCE_SECONDS)
    end_processes(find_family(state.token, marks.values()), patience_seconds=_PATIENCE_SECONDS)
    locate_state(home).unlink(missing_ok=True)


def build_report(receipt: UpReceipt) -> Report:
    """Build the report of what is up, and what to do next."""
    facts = {
        "Prefect": receipt.prefect,
        "MLflow": receipt.mlflow,
        "reports": receipt.reports,
        "deployments": receipt.deployments,
        "lake": receipt.home,
        "logs": receipt.logs,
    }
    notes = (
        "Ctrl-C ends all of it. In another terminal:",
        f"  export SCORELAKE_HOME={receipt.home}",
        f"  put files of comments into {receipt.home}/inbox/comments; or scorelake ingest comments FILE",
        "  scorelake materialize, then scorelake train sentiment; from then on it scores every hour",
    )
    return Report("Everything is up", facts, notes=notes)
