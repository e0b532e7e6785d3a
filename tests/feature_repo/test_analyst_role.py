"""What an analyst's role may do in a catalog on PostgreSQL: read it from anywhere, and nothing else."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from feature_repo import catalogs
from feature_repo.extensions import find_extension
from feature_repo.lake import DUCKLAKE, Lake, write_lake
from tests.services import make_database

SCRIPT = Path(catalogs.__file__).with_name("analyst_role.sql")


@pytest.fixture
def analyst(tmp_path: Path) -> Iterator[str]:
    """Words of libpq with which an analyst reaches a lake of one row."""
    name = f"analyst_{secrets.token_hex(4)}"
    with make_database() as address:
        with write_lake(Lake(tmp_path / "home", catalog_address=address), purpose="test") as connection:
            connection.execute("create schema scores; create table scores.spam (label varchar)")
            connection.execute("insert into scores.spam values ('ham')")
        with psycopg.connect(address, autocommit=True) as owner:
            owner.execute(SCRIPT.read_bytes())
            owner.execute(SCRIPT.read_bytes())  # safe to repeat
            owner.execute(f"create role {name} login password 'secret' in role scorelake_analyst")
            yield psycopg.conninfo.make_conninfo(address, user=name, password="secret")  # noqa: S106 - of a test's role
            owner.execute(f"drop role {name}")


def attach(words: str, options: str = "") -> duckdb.DuckDBPyConnection:
    """As an analyst does, in a DuckDB of their own."""
    connection = duckdb.connect()
    for extension in ("postgres_scanner", DUCKLAKE):
        connection.execute(f"load '{find_extension(extension)}'")
    connection.execute(f"attach 'ducklake:postgres:{words}' as lake {options}")
    return connection


def test_the_role_reads_the_lake(analyst: str) -> None:
    with attach(analyst, "(read_only)") as connection:
        assert connection.execute("select label from lake.scores.spam").fetchall() == [("ham",)]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into lake.scores.spam values ('spam')",
        "delete from lake.scores.spam",
        "drop table lake.scores.spam",
        "create table lake.scores.other (a integer)",
        "call ducklake_expire_snapshots('lake', older_than => now())",
    ],
)
def test_the_role_cannot_write_even_if_it_does_not_ask_for_reading_only(analyst: str, statement: str) -> None:
    with attach(analyst) as connection, pytest.raises(duckdb.Error, match="permission denied"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from ducklake_snapshot",
        "update ducklake_data_file set path = 'mine'",
        "create table mine (a integer)",
        "delete from scorelake.holders",
        "drop trigger check_writer on ducklake_snapshot",
    ],
)
def test_the_role_cannot_change_the_catalog_behind_ducklakes_back(analyst: str, statement: str) -> None:
    with psycopg.connect(analyst) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
