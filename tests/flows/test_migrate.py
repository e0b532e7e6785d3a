"""A lake of one host becomes that of a team: the same rows, the same versions, and it goes on from there."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake
from feature_repo.storages.s3 import Bucket
from tests.flows.commands import run_command
from tests.services import make_database

Team = dict[str, str]


@pytest.fixture
def team(bucket: Bucket, tmp_path: Path, prefect_environment: dict[str, str]) -> Iterator[Team]:
    with make_database() as catalog, make_database() as mlflow, make_database() as registry:
        settings = {
            "HOME": str(tmp_path / "team"),
            "CATALOG": catalog,
            "MLFLOW": mlflow,
            "FEATURE_REGISTRY": registry,
            "DATA": bucket.address,
            "S3_ENDPOINT": str(bucket.endpoint),
            "S3_ACCESS_KEY_ID": str(bucket.key_id),
            "S3_SECRET_ACCESS_KEY": str(bucket.secret_key),
            "WORKERS": "1",
        }
        yield {f"SCORELAKE_{name}": value for name, value in settings.items()} | prefect_environment


def run(team: Team, *arguments: str) -> Any:
    done = run_command(*arguments, "--json", environment=team)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def count_rows(lake: Lake) -> dict[str, int]:
    sql = "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake'"
    with read_lake(lake) as connection:
        names = [name for (name,) in connection.execute(sql).fetchall()]
        return {name: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in names}


@pytest.mark.path
def test_a_lake_moves_with_its_models_and_goes_on(two_versions: Path, team: Team, tmp_path: Path) -> None:
    origin = Lake(shutil.copytree(two_versions, tmp_path / "origin"))
    before = count_rows(origin)
    receipt = run(team, "migrate", str(origin.home))
    copied = {table: rows for table, rows in before.items() if table != "ops.releases"}  # which is of each lake alone
    assert {one["table"]: one["rows"] for one in receipt["tables"]} == copied
    assert receipt["versions"] == 3
    assert run(team, "score", "spam")["rows_scored"] == 0
    assert run(team, "score", "sentiment")["rows_scored"] == before["raw.comments"]
    assert count_rows(origin) == before

    again = run_command("migrate", str(origin.home), environment=team)
    assert again.returncode == 3
    assert "the target holds rows of" in again.stderr


def test_a_home_without_a_lake_and_the_lake_itself_are_refused(tmp_path: Path, lake: Lake) -> None:
    for home, words in ((tmp_path / "nowhere", "no lake at"), (lake.home, "is the lake of the settings itself")):
        done = run_command("migrate", str(home), environment={"SCORELAKE_HOME": str(lake.home)})
        assert done.returncode == 2
        assert words in done.stderr
