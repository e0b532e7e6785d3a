"""Commands as a user starts them: exit codes, sentences, and never a stack trace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.commands import run_command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["sql", "drop table raw.comments"], 2, "BadData: expected exactly one SELECT, found DROP"),
        (["sql", "select 1"], 4, "Unavailable: no lake at"),
        (["status"], 4, "make one with `scorelake apply` or `scorelake ingest`"),
        (["score", "sentimant"], 2, "there is no model 'sentimant'; there are sentiment, spam"),
        (["score", "spam"], 4, "Unavailable: no lake at"),
        (["quarantine", "list"], 4, "Unavailable: no lake at"),
        (["ingest"], 2, "name what to ingest"),
        (["erase"], 2, "name what to erase: --comment ID, --author ID, or several of them"),
        (["erase", "--comment", "x", "--yes"], 4, "Unavailable: no lake at"),
        (["ingest", "comment", "x.csv"], 2, "No such command 'comment'"),
        (["score"], 2, "Missing argument"),
        (["sql", "select 1", "--format", "xml"], 2, "Invalid value for '--format'"),
        (["promote", "sentimant", "1"], 2, "there is no model 'sentimant'"),
        (["train", "sentiment", "--ask"], 2, "a person answers in the UI of a Prefect server; start one with"),
        (["deploy"], 4, "Unavailable: no Prefect server: run `scorelake up` on"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_an_exit_code(
    tmp_path: Path, arguments: list[str], exit_code: int, words: str
) -> None:
    done = run_command(*arguments, environment={"SCORELAKE_HOME": str(tmp_path / "home")})
    assert done.returncode == exit_code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_mistake_in_a_process_of_its_own(tmp_path: Path) -> None:
    environment = {**os.environ, "SCORELAKE_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "flows.cli", "status"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Unavailable: no lake at")


COMMANDS = [
    *(["demo"], ["apply"], ["materialize"], ["train"], ["evaluate"], ["promote"], ["rollback"], ["models"], ["score"]),
    *(
        ["backfill"],
        ["compare"],
        ["canary"],
        ["explain"],
        ["monitor"],
        ["publish"],
        ["maintain"],
        ["up"],
        ["deploy"],
        ["doctor"],
        ["settings"],
        ["migrate"],
        ["sample"],
        ["erase"],
        ["backup"],
        ["restore"],
        ["status"],
        ["sql"],
        ["ingest", "comments"],
        ["ingest", "videos"],
        ["ingest", "channels"],
    ),
    *(["ingest", "labels"], ["ingest", "youtube"], ["quarantine", "list"], ["quarantine", "replay"]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    from flows.cli import app  # noqa: PLC0415

    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"scorelake {' '.join(command)}" in " ".join(shown.output.split())
