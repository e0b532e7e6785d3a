"""Shared by the tests of Feast's plug-in: the lake of `probe_store`, built once; tests that write take a copy."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from feast import FeatureStore

from feature_repo.lake import Lake
from tests.feature_repo.backed_homes import insert
from tests.feature_repo.probe_store import fill_counts, open_store
from tests.feature_repo.universal_rows import INSTANT, SPINE, TABLES, TIMES, apply_views, fill


@pytest.fixture(scope="session")
def counts_lake(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("counts") / "home"))
    fill_counts(lake)
    return lake


@pytest.fixture(scope="session")
def store(counts_lake: Lake) -> FeatureStore:
    """A store that is only read."""
    return open_store(counts_lake)


@pytest.fixture
def own_lake(counts_lake: Lake, tmp_path: Path) -> Lake:
    """A copy of the lake of counts, the test's own."""
    return Lake(shutil.copytree(counts_lake.home, tmp_path / "home"))


@pytest.fixture(scope="session")
def universal_lake(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("universal") / "home"))
    for name, (rows, types) in TABLES.items():
        fill(lake, name, rows, types | TIMES)
    spine_types = {name: pa.string() if name == "author_id" else pa.int64() for name in SPINE[0]}
    fill(lake, "u_spine", SPINE, spine_types | {"event_timestamp": INSTANT})
    apply_views(lake)
    return lake


@pytest.fixture(scope="session")
def universal(universal_lake: Lake) -> FeatureStore:
    return open_store(universal_lake)


@pytest.fixture
def home(lake: Lake) -> Path:
    """A lake of three files, and some of every other kind of file."""
    insert(lake, "a", "b", "c")
    for name, text in {
        "scorelake.env": "SCORELAKE_AUTHOR_KEY=secret",
        "mlflow/artifacts/spam/model.skops": "a model",
        "inbox/comments/new.csv": "comment_id",
        "staging/run/rows.parquet": "half",
        "logs/up.log": "said",
        "up.lock": "",
        "prefect/server.log": "said",
    }.items():
        (lake.home / name).parent.mkdir(parents=True, exist_ok=True)
        (lake.home / name).write_text(text)
    (lake.home / "scorelake.env").chmod(0o600)
    for name in ("mlflow/mlflow.db", "prefect/prefect.db"):
        with closing(sqlite3.connect(lake.home / name)) as connection, connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("create table said (word)")
            connection.execute("insert into said values (?)", [name])
    return lake.home
