"""A person approves or rejects a version that passed the gate, through a real Prefect server."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from feature_repo.lake import Lake, read_lake
from flows.approval import Answer, build_check, build_question
from tests.flows.commands import Done, run_command
from training.gate import Check, Verdict

ROOT = Path(__file__).parents[2]
DAY = timedelta(hours=24)
BUSY = 503  # what Prefect says while SQLite is locked
Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("answer", "is_passed", "sentence"),
    [
        (Answer(decision="promote"), True, "Approved by a person."),
        (Answer(decision="promote", words=" Go. "), True, "Approved by a person: Go."),
        (Answer(decision="reject", words="Not now."), False, "Rejected by a person: Not now."),
        (None, False, "Nobody answered within 24 h."),
    ],
)
def test_an_answer_is_one_check_more(answer: Answer | None, is_passed: bool, sentence: str) -> None:  # noqa: FBT001
    assert build_check(answer, DAY) == Check("approval", is_passed, sentence)


def test_the_question_shows_what_the_gate_found() -> None:
    verdict = Verdict((Check("floor", is_passed=True, sentence="Macro-F1 is high."),))
    assert build_question("spam", "3", verdict) == (
        "**spam version 3 passed the gate. Shall it be champion?**\n\n- Macro-F1 is high.\n"
    )


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    """A lake with champions."""
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


@pytest.fixture
def call(prefect_environment: dict[str, str]) -> Call:
    """Ask the Prefect server that the commands talk to."""
    headers = {"Content-Type": "application/json"}
    api = {**os.environ, **prefect_environment}["PREFECT_API_URL"]

    @stamina.retry(on=lambda error: isinstance(error, urllib.error.HTTPError) and error.code == BUSY, attempts=20)
    def ask(path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{api}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    return ask


@pytest.fixture
def start_training(home: Path, prefect_environment: dict[str, str]) -> Iterator[Callable[[], "Future[Done]"]]:
    """Train on inputs that have not changed: the new version equals the champion, and passes the gate."""
    environment = {**prefect_environment, "SCORELAKE_HOME": str(home)}
    with ThreadPoolExecutor(1) as executor:
        yield lambda: executor.submit(run_command, "train", "spam", "--again", "--ask", environment=environment)


def wait_for_question(call: Call) -> tuple[str, str]:
    """Id of the run that is paused, and what the person reads."""
    paused = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if runs := call("/flow_runs/filter", paused):
            keyset = runs[0]["state"]["state_details"]["run_input_keyset"]
            found = call(f"/flow_runs/{runs[0]['id']}/input/filter", {"prefix": keyset["description"]})
            if found:
                return runs[0]["id"], json.loads(found[0]["value"])
        time.sleep(0.5)
    pytest.fail("the run did not pause within 180 s")


def read_last_decision(home: Path) -> tuple[str, str, str, list[str]]:
    with read_lake(Lake(home)) as connection:
        row = connection.execute(
            "select version, action, champion_after, reasons from ops.promotions where model = 'spam' "
            "order by decided_at desc limit 1"
        ).fetchone()
    assert row is not None
    return row


@pytest.mark.path
def test_a_person_rejects_one_version_and_approves_the_next(
    home: Path, call: Call, start_training: Callable[[], "Future[Done]"]
) -> None:
    rejected = start_training()
    run, question = wait_for_question(call)
    assert question.startswith("**spam version 2 passed the gate. Shall it be champion?**")
    assert "against the champion's" in question
    assert call(f"/flow_runs/{run}/resume", {"run_input": {}})["status"] == "REJECT", "a decision is needed"
    said = {"decision": "reject", "words": "not before the holidays"}
    assert call(f"/flow_runs/{run}/resume", {"run_input": said})["status"] == "ACCEPT"
    done = rejected.result(timeout=120)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "spam version 2 was not promoted; version 1 stays champion" in done.stderr
    version, action, champion, reasons = read_last_decision(home)
    assert (version, action, champion) == ("2", "refused", "1")
    assert reasons[0] == "Rejected by a person: not before the holidays"

    approved = start_training()
    run, _ = wait_for_question(call)
    call(f"/flow_runs/{run}/resume", {"run_input": {"decision": "promote"}})
    done = approved.result(timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    version, action, champion, reasons = read_last_decision(home)
    assert (version, action, champion) == ("3", "promoted", "3")
    assert "Approved by a person." in reasons


@pytest.mark.path
def test_nobody_answering_is_a_rejection(home: Path, call: Call, prefect_environment: dict[str, str]) -> None:
    environment = {**prefect_environment, "SCORELAKE_HOME": str(home)}
    done = run_command("train", "spam", "--again", "--ask", "--approval-hours", "0.001", environment=environment)
    assert done.returncode == 3, done.stdout + done.stderr
    assert read_last_decision(home)[3][0] == "Nobody answered within 0.001 h."
    newest = call("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
    assert newest["state"]["type"] == "FAILED", "so the Prefect UI shows that somebody was waited for"
