"""Statements that people write: one SELECT is answered, everything else is refused and changes nothing."""

import json
from pathlib import Path

import duckdb
import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, write_lake
from flows.query import read_rows, write_rows
from flows.terminal import Format


@pytest.fixture
def filled(lake: Lake) -> Lake:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("insert into ops.leases values ('a', 'r', 'h', 1, now(), now())")
    return lake


@pytest.mark.parametrize(
    "query",
    [
        "select name from ops.leases",
        "from ops.leases select name",
        "with l as (select name from ops.leases) select * from l",
    ],
)
def test_a_select_is_answered(filled: Lake, query: str) -> None:
    assert read_rows(filled, query).to_pylist() == [{"name": "a"}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "expected exactly one SELECT, found nothing"),
        ("select 1; select 2", "expected exactly one SELECT, found SELECT, SELECT"),
        ("delete from ops.leases", "expected exactly one SELECT, found DELETE"),
        ("attach 'x.db'", "found ATTACH"),
        ("copy (select 1) to 'x.csv'", "found COPY"),
        ("set threads = 1", "found SET"),
        ("install httpfs", "found LOAD"),
        ("selec 1", "not SQL that DuckDB reads"),
        ("select * from read_csv('/etc/passwd')", "disabled by configuration"),
        ("select * from read_text('{home}/scorelake.env')", "disabled by configuration"),
        ("select * from glob('/etc/*')", "disabled by configuration"),
        ("select * from ducklake_cleanup_old_files('lake', cleanup_all => true)", "do more than read"),
        ("select * from ducklake_delete_orphaned_files('lake', cleanup_all => true)", "do more than read"),
        ("select (select count(*) from ducklake_expire_snapshots('lake', older_than => now()))", "do more than read"),
        ("with x as (from DuckLake_Expire_Snapshots('lake', older_than => now())) from x", "do more than read"),
        ("from query('delete from ops.leases')", "do more than read, or hide what they read: query"),
        ("from sqlite_scan('{home}/lake/catalog.sqlite', 'ducklake_snapshot')", "do more than read"),
        ("select * from ops.no_such_table", "DuckDB says: Catalog Error"),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(filled: Lake, query: str, message: str) -> None:
    (filled.home / "scorelake.env").write_text("SCORELAKE_AUTHOR_KEY=secret\n")
    orphan = filled.data / "ops" / "leases" / "orphan.parquet"
    duckdb.execute("copy (select 1) to $1 (format parquet)", [str(orphan)])
    with pytest.raises(BadData, match=message):
        read_rows(filled, query.replace("{home}", str(filled.home)))
    assert orphan.exists()
    assert read_rows(filled, "select count(*) as n from ops.leases").to_pylist() == [{"n": 1}]
    assert read_rows(filled, "select count(*) > 1 as n from ducklake_snapshots('lake')").to_pylist() == [{"n": True}]


@pytest.mark.parametrize("format_", [Format.csv, Format.json, Format.parquet, Format.table])
def test_rows_are_written_to_a_file(filled: Lake, tmp_path: Path, format_: Format) -> None:
    target = tmp_path / "rows"
    write_rows(read_rows(filled, "select name, process_id from ops.leases"), format_, target)
    if format_ is Format.json:
        assert json.loads(target.read_text()) == [{"name": "a", "process_id": 1}]
    elif format_ is Format.parquet:
        assert duckdb.execute("select * from read_parquet($1)", [str(target)]).fetchall() == [("a", 1)]
    else:
        assert target.read_text() == "name,process_id\na,1\n"


def test_a_file_in_a_folder_that_is_not_there_is_a_clear_error(filled: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"cannot write .*nowhere"):
        write_rows(read_rows(filled, "select 1"), Format.csv, tmp_path / "nowhere" / "rows.csv")
