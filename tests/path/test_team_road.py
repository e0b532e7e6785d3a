"""The whole road on profile team: catalog, registry, MLflow and Prefect on PostgreSQL, files on S3, Redis online."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from feature_repo.storages.s3 import Bucket
from flows.server import serve_api
from tests.flows.commands import run_command
from tests.services import find_redis, make_database

pytestmark = pytest.mark.path

_DATABASES = ("CATALOG", "FEATURE_REGISTRY", "MLFLOW", "PREFECT")


@pytest.fixture
def team(bucket: Bucket, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of profile team on servers of this machine, a Prefect server on PostgreSQL among them."""
    before = dict(os.environ)
    try:
        with ExitStack() as servers:
            named = {name: servers.enter_context(make_database()) for name in _DATABASES}
            settings = {
                **named,
                "PROFILE": "team",
                "AUTHOR_KEY": "a key for tests",
                "HOME": str(tmp_path / "home"),
                "REDIS": servers.enter_context(find_redis()),
                "DATA": bucket.address,
                "S3_ENDPOINT": str(bucket.endpoint),
                "S3_ACCESS_KEY_ID": str(bucket.key_id),
                "S3_SECRET_ACCESS_KEY": str(bucket.secret_key),
                "WORKERS": "1",
            }
            server = servers.enter_context(serve_api(tmp_path / "home", named["PREFECT"]))
            assert server is not None
            server.wait()
            prefect = {name: value for name, value in os.environ.items() if before.get(name) != value}
            _restore(before)
            yield {f"SCORELAKE_{name}": value for name, value in settings.items()} | prefect
            os.environ.update(prefect)
    finally:
        _restore(before)


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def run(team: dict[str, str], *arguments: str, exit_code: int = 0) -> Any:
    done = run_command(*arguments, environment=team)
    assert done.returncode == exit_code, done.stderr
    return json.loads(done.stdout)


def query(team: dict[str, str], sql: str) -> Any:
    return run(team, "sql", sql, "--format", "json")


def ingest_sample(team: dict[str, str], folder: Path, *, comments: int) -> int:
    """Bring a generated sample in; returns how many comments were accepted."""
    run(team, "sample", str(folder), "--comments", str(comments), "--days", "21", "--json")
    files = {kind: sorted(map(str, folder.glob(f"{kind}-*"))) for kind in ("channels", "videos", "comments")}
    accepted = 0
    for kind, paths in files.items():
        accepted = run(team, "ingest", kind, *paths, "--json")["rows_accepted"]
    for model in ("sentiment", "spam"):
        paths = sorted(map(str, folder.glob(f"labels-{model}-*")))
        run(team, "ingest", "labels", *paths, "--task", model, "--json")
    return accepted


def test_the_whole_road(team: dict[str, str], tmp_path: Path) -> None:
    accepted = ingest_sample(team, tmp_path / "sample", comments=2_500)
    assert run(team, "materialize", "--json")["rows"]["features.comment_features"] == accepted
    run(team, "train", "spam", "--json")  # exit code 3 if the gate refused
    assert run(team, "score", "spam", "--json")["rows_scored"] == accepted
    assert run(team, "score", "spam", "--json")["rows_scored"] == 0
    assert "drift" in run(team, "monitor", "spam", "--json")
    [row] = query(
        team,
        "select (select count(*) from scores.spam) as history, (select count(*) from scores.spam_current) as current, "
        "(select count(distinct comment_id) from raw.comments) as comments",
    )
    assert row["history"] == accepted
    assert row["current"] == row["comments"] > 0
    assert run(team, "status", "--json")["rows"]["raw.comments"] >= accepted
    check_nothing_is_embedded(team)


def check_nothing_is_embedded(team: dict[str, str]) -> None:
    """All state is on the servers: the home holds no database, and no model but a copy."""
    home = Path(team["SCORELAKE_HOME"])
    embedded = [path for pattern in ("*.sqlite*", "*.db", "*.db-*") for path in home.rglob(pattern)]
    assert embedded == []
    assert not (home / "lake" / "data").exists()
    counts = {
        "CATALOG": "select count(*) from ducklake_data_file",
        "FEATURE_REGISTRY": "select count(*) from feature_services",
        "MLFLOW": "select count(*) from model_versions",
        "PREFECT": "select count(*) from flow_run",
    }
    for name, sql in counts.items():
        with psycopg.connect(team[f"SCORELAKE_{name}"]) as connection:
            row = connection.execute(sql).fetchone()
        assert row is not None
        assert row[0] > 0, name
