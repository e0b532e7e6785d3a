"""Statements that people write: one SELECT is answered, everything else is refused and changes nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, write_lake
from flows.query import read_rows, run_query, write_rows
from flows.terminal import Format

KIND = "expected exactly one SELECT, found"
READS = "do more than read the lake's tables, or hide what they read: "
FILE = "expected tables of the lake, found what may be files: "


@pytest.fixture(scope="module")
def filled(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a row, and beside it what a statement might be after."""
    home = tmp_path_factory.mktemp("query") / "home"
    lake = Lake(shutil.copytree(seed_home, home))
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "insert into ops.leases by name "
            "select 'a' as name, 'r' as run_id, 'h' as host, 1 as process_id, now() as acquired_at, now() as expires_at"
        )
    (home / "scorelake.env").write_text("SCORELAKE_AUTHOR_KEY=secret\n")
    (home / "rows.csv").write_text("a\n1\n")
    duckdb.execute("copy (select 1) to $1 (format parquet)", [f"{lake.storage.data}/ops/leases/orphan.parquet"])
    return lake


@pytest.fixture
def watched(filled: Lake) -> Iterator[Lake]:
    """The same, with an eye on every file of its folder, and on the rows and snapshots."""
    before = read_state(filled)
    yield filled
    assert read_state(filled) == before


def read_state(lake: Lake) -> tuple[object, ...]:
    # SQLite makes its log and its index of it when a reader opens the catalog.
    files = (path for path in lake.home.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    entries = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file())
    with read_lake(lake) as connection:
        questions = ("select snapshot_id from lake.snapshots()", "from lake.options()", "from ops.leases")
        return entries, [connection.execute(question).fetchall() for question in questions]


@pytest.mark.parametrize(
    "query",
    [
        "select name from ops.leases",
        "from ops.leases select name",
        "with l as (select name from ops.leases) select * from l",
        "select name from ops.leases at (timestamp => now())",
        "select name from lake.ops.leases, range(1)",
        "select 'a' as name from lake.table_info() where table_name = 'leases'",
        "select min(name) as name from ops.leases, unnest([1, 2])",
        "select name from ops.leases;",
    ],
)
def test_a_select_is_answered(filled: Lake, query: str) -> None:
    assert read_rows(filled, query).to_pylist() == [{"name": "a"}]


@pytest.mark.parametrize(
    "query", ["describe ops.leases", "summarize ops.leases", "show all tables", "from duckdb_tables()"]
)
def test_what_there_is_can_be_asked(filled: Lake, query: str) -> None:
    assert read_rows(filled, query).num_rows > 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", f"{KIND} nothing"),
        ("-- nothing", f"{KIND} nothing"),
        ("select 1; select 2", f"{KIND} SELECT, SELECT"),
        ("select 1; drop table ops.leases", f"{KIND} SELECT, DROP"),
        ("selec 1", "not SQL that DuckDB reads"),
        ("select * from ops.no_such_table", "DuckDB says: Catalog Error"),
        # Statements that write
        ("insert into ops.leases from ops.leases", f"{KIND} INSERT"),
        ("update ops.leases set name = 'b'", f"{KIND} UPDATE"),
        ("delete from ops.leases", f"{KIND} DELETE"),
        ("truncate ops.leases", f"{KIND} DELETE"),
        ("merge into ops.leases using ops.leases as b on true when matched then delete", f"{KIND} MERGE_INTO"),
        ("create table ops.more as select 1", f"{KIND} CREATE"),
        ("create temporary table more as select 1", f"{KIND} CREATE"),
        ("create view ops.more as select 1", f"{KIND} CREATE"),
        ("create macro more() as 1", f"{KIND} CREATE"),
        ("create secret more (type s3)", f"{KIND} CREATE"),
        ("alter table ops.leases add column more integer", f"{KIND} ALTER"),
        ("comment on table ops.leases is 'more'", f"{KIND} ALTER"),
        ("drop schema ops cascade", f"{KIND} DROP"),
        ("with gone as (delete from ops.leases returning *) from gone", "not SQL that DuckDB reads"),
        ("with more as (insert into ops.leases from ops.leases returning *) from more", "not SQL that DuckDB reads"),
        ("select 1 into more", "not SQL that DuckDB reads"),
        ("pivot ops.leases on name", f"{KIND} CREATE, SELECT"),
        # Statements that reach out
        ("attach '{home}/other.db'", f"{KIND} ATTACH"),
        ("attach 'ducklake:sqlite:{home}/lake/catalog.sqlite' as writable", f"{KIND} ATTACH"),
        ("detach lake", f"{KIND} DETACH"),
        ("use memory", f"{KIND} SET"),
        ("copy ops.leases to '{home}/out.csv'", f"{KIND} COPY"),
        ("copy (select 1) to '{home}/lake/data/out.parquet'", f"{KIND} COPY"),
        ("copy ops.leases from '{home}/rows.csv'", f"{KIND} COPY"),
        ("export database '{home}/out'", f"{KIND} EXPORT"),
        ("import database '{home}/out'", "not SQL that DuckDB reads"),
        ("install httpfs", f"{KIND} LOAD"),
        ("load httpfs", f"{KIND} LOAD"),
        ("force install ducklake from 'http://127.0.0.1'", f"{KIND} LOAD"),
        # Statements that change what is allowed
        ("set enable_external_access = true", f"{KIND} SET"),
        ("set variable more = 1", f"{KIND} SET"),
        ("reset lock_configuration", f"{KIND} SET"),
        ("pragma enable_logging", "not SQL that DuckDB reads"),
        ("pragma enable_profiling", f"{KIND} PRAGMA"),
        ("pragma database_list", "expected exactly one"),
        ("begin", f"{KIND} TRANSACTION"),
        ("prepare p as select 1", f"{KIND} PREPARE"),
        ("execute p", f"{KIND} EXECUTE"),
        ("call lake.set_option('parquet_compression', 'gzip')", f"{KIND} CALL"),
        ("call ducklake_expire_snapshots('lake', older_than => now())", f"{KIND} CALL"),
        ("checkpoint lake", f"{KIND} CALL"),
        ("vacuum", f"{KIND} VACUUM"),
        ("explain analyze select 1", f"{KIND} EXPLAIN"),
        # Files by function
        ("from read_csv('/etc/passwd')", f"{READS}read_csv"),
        ("from read_csv_auto('{home}/rows.csv')", f"{READS}read_csv_auto"),
        ("from read_text('{home}/scorelake.env')", f"{READS}read_text"),
        ("from read_text('{home}/lake/../scorelake.env')", f"{READS}read_text"),
        ("from read_blob('{home}/lake/catalog.sqlite')", f"{READS}read_blob"),
        ("from read_json('{home}/rows.csv')", f"{READS}read_json"),
        ("from read_ndjson_objects('{home}/rows.csv')", f"{READS}read_ndjson_objects"),
        ("from read_parquet('{home}/lake/data/**/*.parquet')", f"{READS}read_parquet"),
        ("from parquet_scan('{home}/lake/data/ops/leases/orphan.parquet')", f"{READS}parquet_scan"),
        ("from parquet_metadata('{home}/lake/data/ops/leases/orphan.parquet')", f"{READS}parquet_metadata"),
        ("from read_duckdb('{home}/other.db')", f"{READS}read_duckdb"),
        ("from sniff_csv('/etc/passwd')", f"{READS}sniff_csv"),
        ("from glob('/etc/*')", f"{READS}glob"),
        ("select (select count(*) from glob('/etc/*'))", f"{READS}glob"),
        ("select * from ops.leases where exists (from read_text('/etc/passwd'))", f"{READS}read_text"),
        ("with recursive r as (select 1 as a union all from (select 2 from glob('*')) ) from r", f"{READS}glob"),
        # Files as tables
        ("from '/etc/passwd'", f"{FILE}/etc/passwd"),
        ('from "{home}/rows.csv"', f"{FILE}.*rows.csv"),
        ("from 'rows.csv'", f"{FILE}rows.csv"),
        ("from '{home}/lake/data/ops/leases/orphan.parquet'", f"{FILE}.*orphan.parquet"),
        ("from 'https://127.0.0.1/rows.csv'", f"{FILE}https://127.0.0.1/rows.csv"),
        ("from 's3://bucket/rows.parquet'", f"{FILE}s3://bucket/rows.parquet"),
        # Statements inside of texts
        ("from query('delete from ops.leases')", f"{READS}query"),
        ("from QUERY_TABLE(['/etc/passwd'])", f"{READS}query_table"),
        ("from json_execute_serialized_sql(json_serialize_sql('select 1'))", f"{READS}json_execute_serialized_sql"),
        ("from sqlite_query('x', 'delete from ducklake_snapshot')", f"{READS}sqlite_query"),
        # Other databases
        ("from sqlite_scan('{home}/lake/catalog.sqlite', 'ducklake_snapshot')", f"{READS}sqlite_scan"),
        ("from sqlite_attach('{home}/mlflow.db')", f"{READS}sqlite_attach"),
        ("from postgres_scan('host=127.0.0.1', 'public', 'x')", f"{READS}postgres_scan"),
        ("from arrow_scan(1, 2, 3)", f"{READS}arrow_scan"),
        ("from pandas_scan(1)", f"{READS}pandas_scan"),
        # Functions of the lake that write or delete
        ("from ducklake_cleanup_old_files('lake', cleanup_all => true)", f"{READS}ducklake_cleanup_old_files"),
        ("from ducklake_delete_orphaned_files('lake', cleanup_all => true)", f"{READS}ducklake_delete_orphaned_files"),
        ("select (select count(*) from ducklake_expire_snapshots('lake', older_than => now()))", READS),
        ("with x as (from DuckLake_Expire_Snapshots('lake', older_than => now())) from x", READS),
        ("from ducklake_merge_adjacent_files('lake')", f"{READS}ducklake_merge_adjacent_files"),
        ("from lake.merge_adjacent_files()", f"{READS}merge_adjacent_files"),
        ("from ducklake_add_data_files('lake', 'leases', '{home}/rows.csv')", f"{READS}ducklake_add_data_files"),
        ("from ducklake_set_option('lake', 'parquet_compression', 'gzip')", f"{READS}ducklake_set_option"),
        ("from lake.set_option('parquet_compression', 'gzip')", f"{READS}set_option"),
        ("from checkpoint('lake')", f"{READS}checkpoint"),
        ("from force_checkpoint('lake')", f"{READS}force_checkpoint"),
        ("from enable_logging(storage => 'file')", f"{READS}enable_logging"),
        # Secrets and surroundings
        ("select getenv('SCORELAKE_AUTHOR_KEY')", f"{READS}getenv"),
        ("select name, (select getenv(name)) from ops.leases", f"{READS}getenv"),
        ("from duckdb_secrets()", f"{READS}duckdb_secrets"),
        ("from which_secret('s3://bucket', 's3')", f"{READS}which_secret"),
        ("from duckdb_settings()", f"{READS}duckdb_settings"),
        ("from duckdb_databases()", f"{READS}duckdb_databases"),
        ("select write_log('more')", f"{READS}write_log"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_changes_nothing(watched: Lake, query: str, message: str) -> None:
    with pytest.raises(BadData, match=message) as refused:
        read_rows(watched, query.replace("{home}", str(watched.home)))
    assert refused.value.exit_code == 2


def test_variables_of_the_program_are_no_tables(filled: Lake) -> None:
    rows = read_rows(filled, "select 'secret' as word")
    with pytest.raises(BadData, match="Table with name rows does not exist"):
        read_rows(filled, "select * from rows")
    assert rows.num_rows == 1


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
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("format_", "function"),
    [(Format.csv, "read_csv"), (Format.json, "read_json"), (Format.parquet, "read_parquet")],
)
def test_an_export_has_every_row_and_every_value(filled: Lake, tmp_path: Path, format_: Format, function: str) -> None:
    query = (
        "select range as n, case when n % 3 > 0 then 'naïve, \"quoted\"\n🙂 ' || n end as words, n / 7 as share, "
        "n % 2 = 0 as is_even, timestamptz '2026-03-01 12:00:00+00' + to_microseconds(n) as seen_at, "
        "date '2026-03-01' + n::integer as seen_on from range(100_000)"
    )
    rows = read_rows(filled, query)
    write_rows(rows, format_, tmp_path / "rows")
    difference = (
        "select (select count(*) from exported), count(*) from (select n, words, share, is_even, "
        "epoch_us(seen_at), seen_on from rows except select n, words, share, is_even, epoch_us(seen_at::timestamptz), "
        "seen_on::date from exported)"
    )
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create view exported as from {function}('{tmp_path / 'rows'}')")
        assert connection.execute(difference).fetchone() == (100_000, 0)


def test_an_empty_answer_is_an_empty_export(filled: Lake, tmp_path: Path) -> None:
    rows = read_rows(filled, "select name from ops.leases where false")
    write_rows(rows, Format.csv, tmp_path / "rows.csv")
    write_rows(rows, Format.json, tmp_path / "rows.json")
    assert (tmp_path / "rows.csv").read_text() == "name\n"
    assert json.loads((tmp_path / "rows.json").read_text()) == []


def test_a_file_that_is_there_stays_unless_told(filled: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(filled.home))
    target = tmp_path / "rows.csv"
    target.write_text("precious")
    with pytest.raises(BadData, match=r"rows\.csv is there already; name another file, or say --overwrite"):
        run_query("select name from ops.leases", Format.csv, target)
    assert target.read_text() == "precious"
    with pytest.raises(BadData, match="Conversion Error"):
        run_query("select name::integer from ops.leases", Format.csv, target, is_overwriting=True)
    assert target.read_text() == "precious"
    with target.open() as reader:
        run_query("select name from ops.leases", Format.csv, target, is_overwriting=True)
        assert reader.read() == "precious"  # to its end: the new rows are in a file of their own
    assert target.read_text() == "name\na\n"


def test_an_export_that_fails_leaves_what_was_there(filled: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"cannot write .*nowhere"):
        write_rows(read_rows(filled, "select 1"), Format.csv, tmp_path / "nowhere" / "rows.csv")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadData, match="cannot write"):
        write_rows(read_rows(filled, "select 1"), Format.parquet, folder)
    assert list(folder.iterdir()) == []


def test_a_device_is_written_to_as_it_is(filled: Lake) -> None:
    write_rows(read_rows(filled, "select 1"), Format.csv, Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_time_travel_shows_the_table_as_it_was(filled: Lake, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(filled.home, tmp_path / "home"))
    then = read_rows(lake, "select max(snapshot_time)::varchar as at from lake.snapshots()").to_pylist()[0]["at"]
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update ops.leases set name = 'b'")
    assert read_rows(lake, "select name from ops.leases").to_pylist() == [{"name": "b"}]
    past = f"select name from ops.leases at (timestamp => timestamptz '{then}')"
    assert read_rows(lake, past).to_pylist() == [{"name": "a"}]
    with pytest.raises(BadData, match="No snapshot found at timestamp"):
        read_rows(lake, "select name from ops.leases at (timestamp => timestamptz '2000-01-01 00:00:00+00')")


@pytest.mark.parametrize(("format_", "written"), [("csv", "name\na\n"), ("json", '[\n\t{"name":"a"}\n]\n')])
def test_rows_go_where_the_shell_sends_them(filled: Lake, tmp_path: Path, format_: str, written: str) -> None:
    target, stdout = tmp_path / "rows", Path("/dev/stdout").readlink()
    command = [sys.executable, "-m", "flows.cli", "sql", "select name from ops.leases", "--format", format_]
    with target.open("w") as redirected:
        environment = {**os.environ, "SCORELAKE_HOME": str(filled.home)}
        subprocess.run(command, stdout=redirected, env=environment, check=True)
    assert target.read_text() == written
    assert Path("/dev/stdout").readlink() == stdout
