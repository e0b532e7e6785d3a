"""Shared fixtures: real lakes, built once a session; tests that write work on a copy."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from filelock import FileLock

from feature_repo.contracts import TABLES
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import read_materialized_version
from feature_repo.migration import migrate_tables, write_release
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.storages.s3 import Bucket
from feature_repo.tables.scores import build_score_tables
from flows.sample import Sample, write_sample
from flows.server import serve_api
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from tests.object_server import BUCKET, ObjectServer, serve_objects
from training.promote import promote_version
from training.spec import list_specs, read_spec
from training.train import train_model


def migrate_all(lake: Lake) -> None:
    tables = [
        *TABLES,
        *build_score_tables("sentiment", ("negative", "neutral", "positive")),
        *build_score_tables("spam", ("ham", "spam")),
    ]
    with write_lake(lake, purpose="seed") as connection:
        run_transaction(connection, lambda inside: _migrate_tables(inside, tables))


def _migrate_tables(connection: duckdb.DuckDBPyConnection, tables: list[Any]) -> None:
    migrate_tables(connection, tables)
    write_release(connection, None, datetime(2026, 9, 1, tzinfo=UTC))


@pytest.fixture(scope="session", autouse=True)
def _verify_extensions_once() -> Iterator[None]:
    """Spare the tests a quarter of a second for each lake: DuckDB verifies its extensions whenever they are loaded.

    The first lake of a process is opened as it always is; the others trust the same files.
    """
    connect, opened = duckdb.connect, count()

    def connect_trusting(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        if "autoload_known_extensions" in options.get("config", {}) and next(opened):
            options["config"] = {**options["config"], "allow_unsigned_extensions": True}
        return connect(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", connect_trusting)
        yield


@pytest.fixture(scope="session")
def seed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("seed")
    migrate_all(Lake(home))
    return home


@pytest.fixture
def lake(seed_home: Path, tmp_path: Path) -> Lake:
    """An empty lake with every table, the test's own."""
    home = tmp_path / "home"
    shutil.copytree(seed_home, home)
    return Lake(home)


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server that speaks S3, one for the session of a worker."""
    with serve_objects(tmp_path_factory.mktemp("objects")) as server:
        yield server


@pytest.fixture
def bucket(object_server: ObjectServer) -> Bucket:
    """A place in a bucket, the test's own."""
    server, place = object_server, f"s3://{BUCKET}/{secrets.token_hex(6)}"
    return Bucket(place, server.endpoint, key_id=server.key_id, secret_key=server.secret_key)


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A lake with three weeks of generated comments, features and a champion of each model; nothing is scored.

    Of several workers the first one builds it, and each takes a copy.
    """
    home = tmp_path_factory.mktemp("trained") / "home"
    if worker_id == "master":
        return build_trained_home(home)
    return _share(tmp_path_factory, home, build_trained_home)


def _share(tmp_path_factory: pytest.TempPathFactory, home: Path, build: Callable[[Path], Path]) -> Path:
    shared = tmp_path_factory.getbasetemp().parent / build.__name__
    with FileLock(shared.with_suffix(".lock")):
        if not shared.exists():
            build(home).rename(shared)
    return Path(shutil.copytree(shared, home))


def build_trained_home(home: Path) -> Path:
    lake = Lake(home)
    migrate_all(lake)
    sample = Sample(comments=3_000, days=21)
    now = sample.start_at + timedelta(days=sample.days)
    files = write_sample(sample, home / "sample")
    batches: list[tuple[str, list[Path], str | None]] = [
        ("channels", [day.channels for day in files.days], None),
        ("videos", [day.videos for day in files.days], None),
        ("comments", [day.comments for day in files.days], None),
        ("labels", [day.sentiment_labels for day in files.days], "sentiment"),
        ("labels", [day.spam_labels for day in files.days], "spam"),
    ]
    for number, (kind, paths, task) in enumerate(batches):
        request = IngestRequest(
            kind=kind,
            paths=tuple(paths),
            mapping=read_mapping(),
            source="sample",
            run_id=f"batch-{number}",
            now=now,
            author_key=b"a key for tests",
            task=task,
        )
        ingest_files(lake, request)
    receipt = materialize_features(lake, run_id="materialize", now=now)
    apply_definitions(lake)
    for name in list_specs():
        spec = read_spec(name)
        trained = train_model(lake, spec, run_id=f"train-{name}", now=now, data_version=receipt.owed.upto)
        assert trained.verdict.is_promoted, trained.verdict
    return home


@pytest.fixture(scope="session")
def two_versions(trained_home: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The trained lake, all of it scored by version 1 of spam, the champion; version 2 is there as well."""

    def build_two_versions(home: Path) -> Path:
        return add_second_version(Path(shutil.copytree(trained_home, home)))

    home = tmp_path_factory.mktemp("versions") / "home"
    if worker_id == "master":
        return build_two_versions(home)
    return _share(tmp_path_factory, home, build_two_versions)


def add_second_version(home: Path) -> Path:
    lake, now = Lake(home), datetime(2026, 10, 1, tzinfo=UTC)
    with read_lake(lake) as connection:
        upto = read_materialized_version(connection)
    train_model(lake, read_spec("spam"), run_id="train-2", now=now, data_version=upto, candidate={"C": 0.05})
    promote_version(lake, "spam", "1", run_id="by-hand", now=now, overruling="the tests begin with it")
    options = ScoreOptions(1_000, LocalEngine(1))
    score_owed(lake, ScoreRequest("spam"), run_id="score-spam-1", now=now, options=options)
    return home


@pytest.fixture(scope="session")
def prefect_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that lead a command to a Prefect server, one for the session; without them it starts its own."""
    before = dict(os.environ)
    try:
        with serve_api(tmp_path_factory.mktemp("server")) as server:
            if server is not None:
                server.wait()
            named = {name: value for name, value in os.environ.items() if before.get(name) != value}
            _restore(before)
            yield named
            os.environ.update(named)
    finally:
        _restore(before)


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
