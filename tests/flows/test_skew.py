"""The skew check as an operator meets it: a table, and exit code 3 when features are not what they were."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.lake import Lake, write_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


def run_skew(home: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flows.cli", "skew", "spam", "--rows", "20", "--json"]
    environment = {**os.environ, "SCORELAKE_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_what_differs_ends_the_command_with_exit_code_3(trained_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(trained_home, tmp_path / "home")
    lake = Lake(home)
    options = ScoreOptions(10_000, LocalEngine(1))
    score_owed(lake, ScoreRequest("spam"), run_id="score-spam-1", now=NOW, options=options)
    agreeing = run_skew(home)
    assert agreeing.returncode == 0, agreeing.stderr
    assert all(check["rows_differing"] == 0 for check in json.loads(agreeing.stdout)["checks"])
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update features.comment_features set url_count = url_count + 1")
    differing = run_skew(home)
    assert differing.returncode == 3
    assert "features differ from those that were used: url_count (lake)" in " ".join(differing.stderr.split())
    assert "Traceback" not in differing.stderr
