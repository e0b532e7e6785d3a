"""Shared fixtures: a real, migrated, empty lake, built once a session and copied for each test."""

import shutil
from pathlib import Path

import pytest

from feature_repo.contracts import TABLES, build_score_tables
from feature_repo.lake import Lake, migrate_tables, write_lake


@pytest.fixture(scope="session")
def seed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("seed")
    with write_lake(Lake(home), purpose="seed") as connection:
        migrate_tables(connection, TABLES)
        migrate_tables(connection, build_score_tables("sentiment", ("negative", "neutral", "positive")))
        migrate_tables(connection, build_score_tables("spam", ("ham", "spam")))
    return home


@pytest.fixture
def lake(seed_home: Path, tmp_path: Path) -> Lake:
    """An empty lake with every table, the test's own."""
    home = tmp_path / "home"
    shutil.copytree(seed_home, home)
    return Lake(home)
