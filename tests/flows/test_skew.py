"""The skew check as an operator meets it: a table, and exit code 3 when features are not what they were."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.lake import Lake, write_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from tests.flows.commands import Done, run_command

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


def test_what_differs_ends_the_command_with_exit_code_3(
    trained_home: Path, tmp_path: Path, prefect_environment: dict[str, str]
) -> None:
    def run_skew(home: Path) -> Done:
        environment = {**prefect_environment, "SCORELAKE_HOME": str(home)}
        return run_command("skew", "spam", "--rows", "20", "--json", environment=environment)

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
