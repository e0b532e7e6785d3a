"""The doctor on a server: runs whose process is gone, slots that nobody holds, schedules that somebody has changed."""

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from feature_repo.lake import Lake
from flows.checkup import Finding, Scene, examine
from flows.deployments import POOL
from flows.processes import ProcessMark, mark_process
from flows.settings import Settings
from tests.flows.findings import name_states
from tests.flows.prefect_calls import call


def test_runs_slots_and_schedules_of_a_server_are_put_right(
    lake: Lake, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = prefect_environment["PREFECT_API_URL"]
    for name, value in {**prefect_environment, "SCORELAKE_HOME": str(lake.home)}.items():
        monkeypatch.setenv(name, value)
    delete_deployments(api)
    now = datetime.now(UTC)
    assert name_states(ask(lake, api, now, "server", "worker", "schedules", is_repairing=True)) == {
        "worker": "wrong", "schedules": "repaired"
    }  # fmt: skip

    dead = start_run(api, "score/sentiment-hourly")
    killed, _ = start_command(api, "killed", find_dead_process()), start_command(api, "live", mark_process(os.getpid()))
    take_slot(api, "score/spam-hourly")
    change_schedule(api, "monitor/sentiment-daily")
    assert name_states(ask(lake, api, now, "runs")) == {}, "its process may be about to start"
    later = datetime.now(UTC) + timedelta(minutes=5)
    found = ask(lake, api, later, "runs", "slots", "schedules")
    assert found["runs"].found == f"2 runs have begun and have no process: killed, {dead['name']}"
    assert found["slots"].found == "slots that no run holds: 1 of score/spam-hourly"
    assert "monitor/sentiment-daily: schedules should be 0 5 * * * UTC" in found["schedules"].found
    assert count_slots(api, "score/sentiment-hourly") == 1, "nobody asked for a repair"

    found = ask(lake, api, later, "runs", "slots", is_repairing=True)
    assert name_states(found) == {"runs": "repaired", "slots": "repaired"}
    assert found["runs"].advice == f"marked as crashed: killed, {dead['name']}"
    assert {call(f"{api}/flow_runs/{one['id']}")["state"]["type"] for one in (dead, killed)} == {"CRASHED"}
    assert count_slots(api, "score/sentiment-hourly") == count_slots(api, "score/spam-hourly") == 0
    assert name_states(ask(lake, api, later, "runs", "slots")) == {}
    assert found_limits(lake, api, later) == ("well", "nothing keeps runs back but their own deployment")
    pool = f"{api}/work_pools/{POOL}"
    call(pool, {"concurrency_limit": 3}, "PATCH")
    assert found_limits(lake, api, later)[1].startswith("at most 3 runs at a time")
    call(pool, {"concurrency_limit": 0}, "PATCH")
    call(f"{pool}/queues/default", {"is_paused": True}, "PATCH")
    shut = f"the work pool {POOL} lets 0 runs go at a time; its queue default is paused"
    assert found_limits(lake, api, later) == ("wrong", shut)
    call(pool, {"concurrency_limit": None}, "PATCH")
    call(f"{pool}/queues/default", {"is_paused": False}, "PATCH")
    delete_deployments(api)


def found_limits(lake: Lake, api: str, now: datetime) -> tuple[str, str]:
    found = ask(lake, api, now, "limits")["limits"]
    return found.state, found.found


def ask(lake: Lake, api: str, now: datetime, *names: str, is_repairing: bool = False) -> dict[str, Finding]:
    from flows.prefect_checks import PREFECT_CHECKS  # noqa: PLC0415 - Prefect takes seconds

    checks = tuple(check for check in PREFECT_CHECKS if check.name in names)
    scene = Scene(Settings(home=lake.home), now, api)
    return {one.check: one for one in examine(checks, scene, is_repairing=is_repairing)}


def start_run(api: str, name: str) -> dict[str, Any]:
    """A run that a worker took a slot for and started, and that died with it."""
    run = call(f"{api}/deployments/{read(api, name)['id']}/create_flow_run", {})
    for state in ("PENDING", "RUNNING"):
        assert call(f"{api}/flow_runs/{run['id']}/set_state", {"state": {"type": state}})["status"] == "ACCEPT"
    return dict(run)


def start_command(api: str, name: str, process: ProcessMark) -> dict[str, Any]:
    """A run that a command has started, in a process that may have been killed."""
    flow = call(f"{api}/flows/", {"name": "score"})
    tag = f"process:{socket.gethostname()}:{process.pid}:{process.started_at:.2f}"
    run = {"name": name, "flow_id": flow["id"], "state": {"type": "RUNNING"}, "tags": [tag]}
    return dict(call(f"{api}/flow_runs/", run))


def find_dead_process() -> ProcessMark:
    """A number that another process has by now."""
    return ProcessMark(os.getpid(), psutil.Process().create_time() - 60)


def take_slot(api: str, name: str) -> None:
    """A slot that the server counts, and whose run it does not know any more."""
    limit = read(api, name)["global_concurrency_limit"]["name"]
    call(f"{api}/v2/concurrency_limits/increment", {"names": [limit], "slots": 1})


def count_slots(api: str, name: str) -> int:
    return int(read(api, name)["global_concurrency_limit"]["active_slots"])


def change_schedule(api: str, name: str) -> None:
    deployment = read(api, name)
    schedule = f"{api}/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"
    call(schedule, {"schedule": {"cron": "1 1 * * *", "timezone": "UTC"}}, "PATCH")


def read(api: str, name: str) -> Any:
    return call(f"{api}/deployments/name/{name}")


def delete_deployments(api: str) -> None:
    """Leave the server to other tests as it was."""
    for one in call(f"{api}/deployments/filter", {"limit": 200}):
        call(f"{api}/deployments/{one['id']}", method="DELETE")
    for one in call(f"{api}/automations/filter", {}):
        call(f"{api}/automations/{one['id']}", method="DELETE")
