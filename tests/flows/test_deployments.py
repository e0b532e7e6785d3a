"""A real Prefect server and a real process worker run the score deployment, as an operator's would."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake
from flows.server import end_process, find_free_port

ROOT = Path(__file__).parents[2]


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for(what: str, condition: Any, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):  # not up yet; the deadline is what fails the test
            if found := condition():
                return found
        time.sleep(0.5)
    pytest.fail(f"{what} did not happen within {seconds} s")


@contextmanager
def running(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
        try:
            yield
        finally:
            end_process(process)


def prefect(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    port = find_free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "SCORELAKE_HOME": str(home),
    }
    with running(["server", "start", "--port", str(port)], environment, tmp_path / "server.log"):
        wait_for("the server's start", lambda: call(f"{api}/health"))
        yield api, environment


def test_every_deployment_is_registered_scheduled_and_the_score_one_runs(
    server: tuple[str, dict[str, str]], home: Path, tmp_path: Path
) -> None:
    api, environment = server
    prefect(["work-pool", "create", "scorelake", "--type", "process"], environment)
    prefect(["--no-prompt", "deploy", "--all"], environment)
    deployments = call(f"{api}/deployments/filter", {})
    flows = {flow["id"]: flow["name"] for flow in call(f"{api}/flows/filter", {})}
    registered = {f"{flows[deployment['flow_id']]}/{deployment['name']}" for deployment in deployments}
    assert registered == {
        "ingest/hourly", "materialize/hourly", "expire/daily",
        *(f"{flow}/{model}-{how_often}"
          for flow, how_often in (("score", "hourly"), ("train", "weekly"), ("evaluate", "daily"), ("monitor", "daily"),
                                  ("skew", "daily"))
          for model in ("sentiment", "spam")),
    }  # fmt: skip
    wait_for("the scheduling of every deployment", lambda: read_scheduled(api) == {it["id"] for it in deployments})

    score = call(f"{api}/deployments/name/score/sentiment-hourly")
    run = call(f"{api}/deployments/{score['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    with running(["worker", "start", "--pool", "scorelake"], environment, tmp_path / "worker.log"):
        ended = wait_for("the end of the run", lambda: read_end(api, run["id"]))
    assert ended["state"]["type"] == "COMPLETED", (tmp_path / "worker.log").read_text()
    assert ended["parameters"] == {"model": "sentiment"}
    artifacts = call(f"{api}/artifacts/filter", {"artifacts": {"key": {"any_": ["score-sentiment"]}}})
    assert "comments scored" in artifacts[0]["data"]
    with read_lake(Lake(home)) as connection:
        owed = connection.execute("select count(*) from raw.comments").fetchone()
        assert connection.execute("select count(*) from scores.sentiment").fetchone() == owed


def read_scheduled(api: str) -> set[str]:
    """The deployments for which the server has planned runs."""
    runs = call(f"{api}/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": 200})
    return {run["deployment_id"] for run in runs}


def read_end(api: str, run_id: str) -> dict[str, Any] | None:
    run = call(f"{api}/flow_runs/{run_id}")
    return run if run["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
