"""The workflow files that users get: both say the same, and what they say works."""

import os
import shlex
import socket
from glob import glob
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from feature_repo.errors import Refused
from flows.cli import app
from tests.flows.prefect_calls import call

ROOT = Path(__file__).parents[2]
GITHUB = yaml.safe_load((ROOT / ".github/workflows/scorelake.yml").read_text())
GITLAB = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
JOBS = ("code", "model")
PROGRAM = ".venv/bin/scorelake"


def read_commands(job: str) -> list[str]:
    return [step["run"] for step in GITHUB["jobs"][job]["steps"] if "run" in step]


def run(command: str) -> None:
    """Run a command as the shell of a job would, in this process; what is raised ends a job with its exit code."""
    program, *words = shlex.split(command)
    assert program == PROGRAM
    arguments = [path for word in words for path in (sorted(glob(word)) if "*" in word else [word])]  # noqa: PTH207
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture
def job(tmp_path: Path, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder and the variables of the job, beside a server that is up already."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**prefect_environment, **GITLAB["model"]["variables"]}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", JOBS)
def test_both_services_run_the_same_commands_with_the_same_settings(name: str) -> None:
    ours, theirs = GITHUB["jobs"][name], GITLAB[name]
    assert read_commands(name) == theirs["script"]
    assert ours.get("env", {}) == theirs.get("variables", {})
    assert f"{ours['timeout-minutes']} minutes" == theirs["timeout"]


def test_a_workflow_may_read_and_nothing_else_and_names_its_actions_releases() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in GITHUB["jobs"].values() for step in job["steps"] if "uses" in step]
    assert {name.split("@")[0] for name in used} == {"actions/checkout", "actions/setup-python", "actions/cache"}
    assert all(name.rpartition("@v")[2].isdigit() for name in used), used


def test_every_target_of_make_is_there() -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    made = [command for name in JOBS for command in read_commands(name) if command.startswith("make ")]
    assert {command.split()[1] for command in made} <= targets


@pytest.mark.path
def test_what_a_job_runs_works_and_holds_the_contracts_and_the_gate(job: None) -> None:
    commands = [command for command in read_commands("model") if not command.startswith("make ")]
    for command in commands:
        if "ingest comments" in command:
            spoil(Path(".scorelake/sample"))
            with pytest.raises(Refused, match=r"rows are bad .*, more than the limit: nothing was ingested"):
                run(f"{PROGRAM} ingest comments .scorelake/sample/bad.jsonl")
        run(command)
    begun = call(f"{os.environ['PREFECT_API_URL']}/flow_runs/filter", {"flows": {"name": {"any_": ["evaluate"]}}})
    assert begun[0]["tags"][0].startswith(f"process:{socket.gethostname()}:{os.getpid()}:"), (
        "`doctor` finds it if killed"
    )


def spoil(sample: Path) -> None:
    """A file of which more rows are bad than the job allows."""
    lines = next(iter(sorted(sample.glob("comments-*")))).read_text().splitlines()
    (sample / "bad.jsonl").write_text("\n".join([*lines, *['{"text": ""}'] * (len(lines) // 10)]))
