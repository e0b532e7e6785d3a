"""The flows of scoring as commands: a challenger from shadow to canary and back, told at every step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.flows.commands import run_command

Command = Callable[..., Any]

pytestmark = pytest.mark.path


@pytest.fixture
def home(two_versions: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two_versions, tmp_path / "home"))


@pytest.fixture
def scorelake(home: Path, prefect_environment: dict[str, str]) -> Command:
    environment = {**prefect_environment, "SCORELAKE_HOME": str(home)}

    def run(*options: str, expected: int = 0) -> Any:
        done = run_command(*options, "--json", environment=environment)
        assert done.returncode == expected, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    return run


def test_a_challenger_goes_from_shadow_to_canary_and_is_withdrawn(home: Path, scorelake: Command) -> None:
    foretold = scorelake("score", "spam", "--shadow", "2", "--dry-run")
    assert (foretold["run_id"], foretold["request"]["role"]) == (None, "shadow")
    shadowed = scorelake("score", "spam", "--shadow", "2")
    assert shadowed["rows_owed"] == foretold["rows_owed"]
    assert shadowed["rows_scored"] == shadowed["rows_owed"] > 0
    compared = scorelake("compare", "spam", "--version", "2")
    assert compared["overall"]["rows"] == shadowed["rows_scored"]
    assert list((home / "reports").glob("compare-spam-*.png"))
    refusal = scorelake("canary", "spam", "--version", "2", expected=2)
    assert "say either --share or --withdraw" in refusal
    started = scorelake("canary", "spam", "--version", "2", "--share", "0.4", "--overrule", "to see it")
    assert (started["canary"], started["champion"], started["share"]) == ("2", "1", 0.4)
    assert scorelake("backfill", "spam", "--dry-run")["rows_owed"] == 0, "the shadow has scored them"
    scorelake("backfill", "spam")
    assert read_versions(home) == {"1", "2"}
    withdrawn = scorelake("canary", "spam", "--withdraw")
    assert withdrawn["canary"]["share"] == 0
    assert read_versions(home) == {"1"}


def read_versions(home: Path) -> set[str]:
    """Versions in force, as an analyst finds them in the published file."""
    with duckdb.connect(str(home / "published" / "scorelake.duckdb"), read_only=True) as connection:
        return {
            row[0] for row in connection.execute("select distinct model_version from scores.spam_current").fetchall()
        }


def test_a_window_that_ends_before_it_begins_is_refused(scorelake: Command) -> None:
    said = scorelake("backfill", "spam", "--published-from", "2026-10-02", "--published-to", "2026-10-01", expected=2)
    assert "--published-from must be before --published-to" in said
