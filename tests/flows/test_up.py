"""`scorelake up` on a trained lake, as an operator has it: started, used beside, killed, started again, stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from feature_repo.lake import Lake, read_lake
from flows.automations import CRASHED
from flows.pages import Pages, find_report_pages, find_version_pages
from tests.flows.operator_terminal import Operator, open_terminal, read_end
from tests.flows.prefect_calls import call, wait_for

pytestmark = pytest.mark.path
REQUEST = """
from prefect import get_client
from flows.automations import request_training
with get_client(sync_client=True) as client:
    print(request_training(client, "spam", "monitor-1"))
"""
STARTED = {"type": "SCHEDULED"}
# A run of a machine elsewhere. Prefect's own sign of life comes every 30 s at most, and no server takes less than 10 s
# for silence.
ALIVE = """
import sys
from select import select
from prefect import flow
from prefect.events import emit_event
from prefect.runtime import flow_run

@flow(name="elsewhere")
def live():
    print(flow_run.id, flush=True)
    while not select([sys.stdin], [], [], 2)[0]:
        emit_event("prefect.flow-run.heartbeat", resource={"prefect.resource.id": f"prefect.flow-run.{flow_run.id}"})

live()
"""


@pytest.fixture
def operator(trained_home: Path, tmp_path: Path) -> Iterator[Operator]:
    shutil.copytree(trained_home, tmp_path / "home")
    with open_terminal(tmp_path / "home", tmp_path) as operator:
        yield operator


def test_one_terminal_runs_everything_and_leaves_nothing(operator: Operator) -> None:
    process = operator.start()
    receipt = operator.read_receipt()
    api = f"{receipt['prefect']}/api"
    check_addresses(receipt["prefect"], receipt["mlflow"])
    check_nothing_is_open_to_the_network(process.pid)
    one, another = live_elsewhere(operator, api), live_elsewhere(operator, api)
    with shorten_silence(api), one as (killed, killed_id), another as (quiet, quiet_id):
        check_pages(operator.home, receipt)
        check_second_start(operator, receipt)
        killed.kill()
        check_command_beside(operator, api)
        wait_for("the end of the one that was killed", lambda: read_end(api, killed_id))
        assert read_states(api, killed_id)[-1] == ("CRASHED", CRASHED.actions[0].message)
        assert [state for state, _ in read_states(api, quiet_id)] == ["PENDING", "RUNNING"]
        quiet.communicate(b"enough")
        assert read_states(api, quiet_id)[-1][0] == "COMPLETED"
    dead = call(
        f"{api}/deployments/{find_deployment(api, 'score/sentiment-hourly')}/create_flow_run", {"state": STARTED}
    )
    begin_without_process(api, dead["id"])
    for name in ("prefect-server", "prefect-worker"):
        os.kill(operator.read_pids()[name], signal.SIGKILL)
    operator.wait_for_word("prefect-worker was ended by SIGKILL; starting it again in 1 s")
    operator.wait_for_word(f"marked as crashed, their processes are gone: {dead['name']}")
    check_scoring(operator.home, api)
    check_training_on_request(api)

    stuck = call(f"{api}/deployments/{find_deployment(api, 'score/spam-hourly')}/create_flow_run", {"state": STARTED})
    begin_without_process(api, stuck["id"])
    left = list_family(process.pid)
    assert len(left) >= 5, "server, worker, MLflow and its worker, reports"
    process.kill()
    process = operator.start()
    operator.wait_for_word("processes that a killed `scorelake up` has left")
    operator.wait_for_word(f"marked as crashed, their processes are gone: {stuck['name']}")
    assert not [one for one in left if one.is_running()]

    left = list_family(process.pid)
    process.terminate()
    assert process.wait(timeout=120) == 0, operator.said
    assert operator.said.endswith("stopping\nstopped\n")
    assert not [one for one in left if one.is_running()]
    assert not (operator.home / "up.json").exists()
    assert find_version_pages(Lake(operator.home), "spam", "1") == Pages()


def test_a_server_that_is_set_is_not_overruled(tmp_path: Path) -> None:
    environment = {**os.environ, "SCORELAKE_HOME": str(tmp_path / "home"), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "flows.cli", "up"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "BadData: PREFECT_API_URL names a server already: http://127.0.0.1:9/api. Unset it" in done.stderr
    assert not (tmp_path / "home").exists()


def check_nothing_is_open_to_the_network(pid: int) -> None:
    sockets = [socket for one in list_family(pid) for socket in one.net_connections("inet")]
    heard = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert heard == {"127.0.0.1"}


def check_addresses(prefect: str, mlflow: str) -> None:
    assert call(f"{prefect}/api/health") is True
    for url in (prefect, mlflow):
        with urllib.request.urlopen(url, timeout=30) as page:
            assert "<!doctype html>" in page.read().decode().lower()
    with urllib.request.urlopen(f"{mlflow}/health", timeout=30) as answer:
        assert answer.read() == b"OK"
    models = call(f"{mlflow}/api/2.0/mlflow/registered-models/search")["registered_models"]
    assert {model["name"] for model in models} == {"sentiment", "spam"}, "the lake's own store"


def check_pages(home: Path, receipt: dict[str, Any]) -> None:
    """What an artifact leads to is there, for as long as it is served."""
    report = home / "reports" / "drift of a window.html"
    report.write_text("a report")
    of_report = find_report_pages(home, {"the report": report}, report)
    of_version = find_version_pages(Lake(home), "spam", "1")
    assert of_report.links["the report"].startswith(receipt["reports"])
    assert of_version.links == {"spam version 1 in MLflow": f"{receipt['mlflow']}/#/models/spam/versions/1"}
    for url, begins in ((of_report.picture, b"a report"), (of_version.picture, b"\x89PNG")):
        assert url is not None
        with urllib.request.urlopen(url, timeout=30) as page:
            assert page.read().startswith(begins)


def check_second_start(operator: Operator, receipt: dict[str, Any]) -> None:
    second = operator.run("up")
    assert second.returncode == 4
    addresses = f"Prefect {receipt['prefect']}, MLflow {receipt['mlflow']}"
    assert f"`scorelake up` runs on {operator.home} already (process {operator.processes[0].pid}): {addresses}" in (
        second.stderr
    )


def check_command_beside(operator: Operator, api: str) -> None:
    """A command finds the server by itself, and every deployment of the file is there, with its schedule."""
    checked = operator.run("deploy", "--check", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["api"] == api
    planned = call(f"{api}/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": 200})
    scheduled = [one for one in json.loads(checked.stdout)["deployments"] if one["schedules"]]
    assert len({run["deployment_id"] for run in planned}) == len(scheduled) == 15


def check_scoring(home: Path, api: str) -> None:
    score = find_deployment(api, "score/sentiment-hourly")
    run = call(f"{api}/deployments/{score}/create_flow_run", {"state": STARTED})
    ended = wait_for("the end of the run", lambda: read_end(api, run["id"]))
    assert ended["state"]["type"] == "COMPLETED", (home / "logs" / "prefect-worker.log").read_text()
    assert count_signs_of_life(api, run["id"])
    artifacts = call(f"{api}/artifacts/filter", {"artifacts": {"key": {"any_": ["score-sentiment"]}}})
    assert "comments scored" in artifacts[0]["data"]
    with read_lake(Lake(home)) as connection:
        owed = connection.execute("select count(*) from raw.comments").fetchone()
        assert connection.execute("select count(*) from scores.sentiment").fetchone() == owed


def check_training_on_request(api: str) -> None:
    """What a watch asks for, its automation starts."""
    retrain = find_deployment(api, "train/spam-retrain")
    environment = {**os.environ, "PREFECT_API_URL": api}  # of a run: Prefect sends events where the first one went
    said = subprocess.run([sys.executable, "-c", REQUEST], env=environment, capture_output=True, text=True, check=True)
    assert "the automation retrain-spam starts it" in said.stdout
    runs = {"deployments": {"id": {"any_": [retrain]}}}
    (run,) = wait_for("training", lambda: call(f"{api}/flow_runs/filter", runs))
    assert run["parameters"] == {"model": "spam"}
    call(f"{api}/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLED"}, "force": True})


@contextmanager
def shorten_silence(api: str) -> Iterator[None]:
    """The automation that marks silent runs, as it is but for its patience, beside the one of the deployments."""
    trigger = CRASHED.trigger.model_copy(update={"within": timedelta(seconds=10)})
    short = CRASHED.model_copy(update={"name": "silent for ten seconds", "trigger": trigger})
    made = call(f"{api}/automations/", json.loads(short.model_dump_json()))
    yield
    call(f"{api}/automations/{made['id']}", method="DELETE")  # runs of deployments speak every minute


@contextmanager
def live_elsewhere(operator: Operator, api: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A run that nobody here has started; its process, and its id."""
    own = {"PREFECT_API_URL": api, "PREFECT_HOME": str(operator.folder / "elsewhere"), "DO_NOT_TRACK": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", ALIVE],
        env={**operator.environment, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


def read_states(api: str, run_id: str) -> list[tuple[str, str]]:
    states = call(f"{api}/flow_run_states/?flow_run_id={run_id}")
    return [(one["type"], one["message"]) for one in sorted(states, key=lambda one: one["timestamp"])]


def count_signs_of_life(api: str, run_id: str) -> int:
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}
    return int(call(f"{api}/events/filter", {"filter": wanted})["total"])


def begin_without_process(api: str, run_id: str) -> None:
    """What a worker leaves that was killed together with its run."""
    call(f"{api}/flow_runs/{run_id}/set_state", {"state": {"type": "RUNNING"}, "force": True})


def find_deployment(api: str, name: str) -> str:
    return call(f"{api}/deployments/name/{name}")["id"]


def list_family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)
