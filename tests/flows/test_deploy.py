"""`scorelake deploy` against a real server that somebody has changed by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.automations import CRASHED
from tests.flows.commands import run_command
from tests.flows.prefect_calls import call

pytestmark = pytest.mark.path
Command = Callable[..., Any]


@pytest.fixture
def deploy(prefect_environment: dict[str, str], tmp_path: Path) -> Command:
    environment = {**prefect_environment, "SCORELAKE_HOME": str(tmp_path / "home")}

    def run(*options: str, expected: int = 0) -> Any:
        done = run_command("deploy", *options, "--json", environment=environment)
        assert done.returncode == expected, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    return run


def test_what_was_changed_by_hand_is_found_and_put_right_and_what_was_switched_off_stays_off(
    deploy: Command, prefect_environment: dict[str, str]
) -> None:
    api = prefect_environment["PREFECT_API_URL"]
    first = deploy()
    assert {one["what"] for one in first["corrected"]} == {"it"}, "nothing was there"
    assert deploy("--check")["deployments"] == first["deployments"]

    change_schedule(api, "score/sentiment-hourly", {"schedule": {"cron": "1 1 * * *", "timezone": "Europe/Berlin"}})
    change_schedule(api, "monitor/spam-daily", {"active": False})
    pause(api, "skew/spam-daily")
    add_schedule(api, "backfill/spam", "3 3 * * *")
    add_schedule(api, "monitor/spam-daily", "4 4 * * *")
    add_old_deployment(api)
    switch_automation(api, "retrain-spam")
    call(f"{api}/automations/{read_automation(api, CRASHED.name)['id']}", method="DELETE")
    found = deploy("--check", expected=3)
    assert "score/sentiment-hourly: schedules should be 15 * * * * UTC, found 1 1 * * * Europe/Berlin" in found
    assert "backfill/spam: schedules should be none, found 3 3 * * * UTC" in found
    assert "skew/spam-daily" not in found, "an operator may switch off what they like"

    second = deploy("--remove-outdated")
    assert {one["deployment"] for one in second["corrected"]} == {
        "score/sentiment-hourly", "backfill/spam", "monitor/spam-daily"
    }  # fmt: skip
    assert not read_automation(api, "retrain-spam")["enabled"], "switched off it stays"
    assert read_automation(api, "retrain-sentiment")["enabled"]
    assert read_automation(api, CRASHED.name)["enabled"]
    assert second["outdated"] == ["expire/daily"]
    assert deploy("--check")["outdated"] == []
    assert [(one["slug"], one["active"]) for one in read(api, "monitor/spam-daily")["schedules"]] == [("daily", False)]
    assert read(api, "skew/spam-daily")["paused"]
    assert read(api, "score/sentiment-hourly")["schedules"][0]["schedule"]["cron"] == "15 * * * *"


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    gone = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    done = run_command("deploy", environment={**gone, "SCORELAKE_HOME": str(tmp_path)})
    assert done.returncode == 4
    assert "Unavailable: the Prefect API at http://127.0.0.1:9/api does not answer as it should" in done.stderr


def read(api: str, name: str) -> Any:
    return call(f"{api}/deployments/name/{name}")


def change_schedule(api: str, name: str, change: dict[str, Any]) -> None:
    deployment = read(api, name)
    schedule = deployment["schedules"][0]["id"]
    call(f"{api}/deployments/{deployment['id']}/schedules/{schedule}", change, "PATCH")


def add_schedule(api: str, name: str, cron: str) -> None:
    added = [{"active": True, "schedule": {"cron": cron, "timezone": "UTC"}}]
    call(f"{api}/deployments/{read(api, name)['id']}/schedules", added)


def pause(api: str, name: str) -> None:
    call(f"{api}/deployments/{read(api, name)['id']}/pause_deployment", method="POST")


def read_automation(api: str, name: str) -> Any:
    (found,) = call(f"{api}/automations/filter", {"automations": {"name": {"any_": [name]}}})
    return found


def switch_automation(api: str, name: str) -> None:
    call(f"{api}/automations/{read_automation(api, name)['id']}", {"enabled": False}, "PATCH")


def add_old_deployment(api: str) -> None:
    """One that an earlier file had, and one that is the operator's own."""
    flow = call(f"{api}/flows/", {"name": "expire"})
    call(f"{api}/deployments/", {"name": "daily", "flow_id": flow["id"], "tags": ["scorelake"]})
    call(f"{api}/deployments/", {"name": "own", "flow_id": flow["id"], "tags": []})
