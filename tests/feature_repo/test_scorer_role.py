"""What a scorer's role may do in a catalog on PostgreSQL: write scores and runs; not who is champion, by any door."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from feature_repo import catalogs
from feature_repo.errors import Refused
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from tests.services import make_database

SCRIPT = Path(catalogs.__file__).with_name("scorer_role.sql")
LEDGER = [("spam", "1")]


class Roles(NamedTuple):
    """A lake as its owner reaches it and as a scorer does, and the address of each."""

    owner: Lake
    scorer: Lake
    owner_address: str
    scorer_address: str


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    name, home = f"scorer_{secrets.token_hex(4)}", tmp_path_factory.mktemp("lake") / "home"
    with make_database() as address:
        owner = Lake(home, catalog_address=address)
        with write_lake(owner, purpose="test") as connection:
            connection.execute("create schema scores; create table scores.spam (label varchar)")
            connection.execute("create schema raw; create table raw.comments (text varchar)")
            connection.execute("create schema ops; create table ops.promotions (model varchar, version varchar)")
            connection.execute("create table ops.runs (run_id varchar)")
            connection.execute("insert into ops.promotions values ('spam', '1')")
            connection.execute("insert into scores.spam values ('ham')")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(SCRIPT.read_bytes())
            connection.execute(SCRIPT.read_bytes())  # safe to repeat
            connection.execute(f"create role {name} login in role scorelake_scorer")
            theirs = psycopg.conninfo.make_conninfo(address, user=name)
            yield Roles(owner, Lake(home, catalog_address=theirs), address, theirs)
            connection.execute(f"drop owned by {name}; drop role {name}")


def read_ledger(lake: Lake) -> list[tuple[str, ...]]:
    with read_lake(lake) as connection:
        return connection.execute("select model, version from ops.promotions").fetchall()


def list_files(lake: Lake) -> list[str]:
    return sorted(str(path) for path in lake.home.rglob("*.parquet"))


def test_the_role_scores(roles: Roles) -> None:
    with write_lake(roles.scorer, purpose="score") as connection:
        run_transaction(connection, lambda inside: inside.execute("insert into ops.runs values ('first')"))
        run_transaction(connection, lambda inside: inside.execute("update scores.spam set label = 'spam'"))
        run_transaction(connection, lambda inside: inside.execute("delete from ops.runs"))
        run_transaction(connection, lambda inside: inside.execute("insert into ops.runs values ('second')"))
    with read_lake(roles.owner) as connection:
        assert connection.execute("select label from scores.spam").fetchall() == [("spam",)]
        assert connection.execute("select run_id from ops.runs").fetchall() == [("second",)]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("insert into ops.promotions values ('spam', '2')", "may not change ops.promotions"),
        ("update ops.promotions set version = '2'", "may not change ops.promotions"),
        ("delete from ops.promotions", "may not change ops.promotions"),
        ("insert into raw.comments values ('mine')", "may not change raw.comments"),
        ("drop table ops.promotions", "permission denied"),
        ("alter table ops.promotions rename to refusals", "permission denied"),
        ("create table scores.other (a integer)", "permission denied"),
        ("comment on table ops.promotions is 'mine'", "permission denied"),
    ],
)
def test_the_role_changes_nothing_else_and_leaves_nothing_half_written(
    roles: Roles, statement: str, words: str
) -> None:
    before = list_files(roles.owner)
    with (
        write_lake(roles.scorer, purpose="promote") as connection,
        pytest.raises(Refused, match=f"nothing was written: .*{words}"),
    ):
        run_transaction(connection, lambda inside: inside.execute(statement))
    assert read_ledger(roles.owner) == LEDGER
    assert list_files(roles.owner) == before


TABLE = "(select table_id from public.ducklake_table where table_name = '{}')"
PROMOTIONS, SPAM = TABLE.format("promotions"), TABLE.format("spam")
FILE = f"(select data_file_id from ducklake_data_file where table_id = {PROMOTIONS})"
NEW_FILE = "insert into ducklake_data_file (data_file_id, path, path_is_relative, table_id) values (-1, "
STAND_IN = "create temporary table ducklake_table as select table_id, schema_id, 'runs' table_name from ducklake_table"
NEW_DELETES = "insert into ducklake_delete_file (delete_file_id, path, path_is_relative, table_id, data_file_id) "


@pytest.mark.parametrize(
    "statement",
    [
        f"{NEW_FILE} 'a', true, {PROMOTIONS})",
        f"{NEW_FILE} 'a', true, -1)",
        f"{NEW_FILE} '/a', false, {SPAM})",
        f"{NEW_FILE} '../promotions/a', true, {SPAM})",
        f"{NEW_DELETES} values (-1, 'a', true, {SPAM}, {FILE})",
        f"update ducklake_data_file set end_snapshot = 1 where table_id = {PROMOTIONS}",
        f"update ducklake_data_file set table_id = {PROMOTIONS} where table_id = {SPAM}",
        f"update ducklake_table_stats set record_count = 0 where table_id = {PROMOTIONS}",
        f"insert into ducklake_file_column_stats (data_file_id, table_id, column_id) values ({FILE}, {SPAM}, 1)",
        f"{STAND_IN}; update ducklake_data_file set end_snapshot = 1 where table_id = {PROMOTIONS}",
        "update ducklake_table set table_name = 'runs' where table_name = 'promotions'",
        "update ducklake_schema set schema_name = 'scores' where schema_name = 'ops'",
        "insert into ducklake_files_scheduled_for_deletion (path, path_is_relative) values ('ops/promotions/a', true)",
        "delete from ducklake_snapshot",
        "truncate ducklake_data_file",
        "alter table ducklake_data_file disable trigger check_table",
        "drop function scorelake.check_table() cascade",
        "create or replace function scorelake.may_score_into(id bigint) returns boolean language sql as 'select true'",
        "create table mine (a integer)",
        "set role postgres",
    ],
)
def test_the_database_refuses_whoever_writes_to_the_catalog_behind_ducklakes_back(roles: Roles, statement: str) -> None:
    with psycopg.connect(roles.scorer_address) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
    assert read_ledger(roles.owner) == LEDGER


def test_the_owner_is_not_hindered(roles: Roles) -> None:
    with write_lake(roles.owner, purpose="promote") as connection:
        run_transaction(connection, lambda inside: inside.execute("insert into ops.promotions values ('spam', '2')"))
        run_transaction(connection, lambda inside: inside.execute("delete from ops.promotions where version = '2'"))
    assert read_ledger(roles.owner) == LEDGER
