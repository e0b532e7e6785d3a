"""A catalog on PostgreSQL: one writer over all hosts, whoever dies or is cut off; readers who cannot write."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from feature_repo.errors import BadData, Unavailable
from feature_repo.extensions import find_extension
from feature_repo.lake import DUCKLAKE, Lake, read_lake, run_transaction, write_lake
from feature_repo.leftovers import find_dead_writer
from feature_repo.upkeep import purge_deleted
from tests.services import make_database

INSERT = "insert into notes.rows values (?)"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Lake]:
    """A lake with a table of one row, whose catalog is on PostgreSQL."""
    with make_database() as address:
        lake = Lake(tmp_path / "home", catalog_address=address)
        with write_lake(lake, purpose="test") as connection:
            connection.execute("create schema notes; create table notes.rows (word varchar)")
            connection.execute(INSERT, ["first"])
        yield lake


def read_words(lake: Lake) -> list[str]:
    with read_lake(lake) as connection:
        return [word for (word,) in connection.execute("select word from notes.rows order by word").fetchall()]


def insert(lake: Lake, word: str) -> None:
    with write_lake(lake, purpose=f"write {word}") as connection:
        run_transaction(connection, lambda inside: inside.execute(INSERT, [word]))


def run_elsewhere(target: Any, *arguments: object) -> "multiprocessing.process.BaseProcess":
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def insert_and_die(lake: Lake) -> None:
    with write_lake(lake, purpose="die") as connection:
        connection.execute("begin transaction")
        connection.execute("insert into notes.rows select 'lost ' || range from range(100000)")
        os.kill(os.getpid(), signal.SIGKILL)


def hold(lake: Lake, ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with write_lake(lake, purpose="score sentiment"):
        ready.set()
        done.wait(30)


def cut_lock(lake: Lake) -> None:
    """Have the server drop the session that holds the writer lock, and that one alone, as a cut network does."""
    with psycopg.connect(str(lake.catalog_address), autocommit=True) as connection:
        cut = connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and application_name like 'scorelake writer%'"
        ).fetchall()
    assert cut == [(True,)]


@contextmanager
def allow_nobody(lake: Lake) -> Iterator[None]:
    server, _, database = str(lake.catalog_address).rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"alter database {database} allow_connections false".encode())
        try:
            yield
        finally:
            connection.execute(f"alter database {database} allow_connections true".encode())


def cut_all(lake: Lake) -> None:
    """Have the server drop every session."""
    server, _, database = str(lake.catalog_address).rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", [database]
        )


def wait_for_dead_writer(lake: Lake) -> str | None:
    """Who died; a busy server takes a moment to see that a client is gone."""
    for _ in range(100):
        if found := find_dead_writer(lake):
            return found
        time.sleep(0.05)
    return None


def test_where_there_is_no_lake_yet_reading_says_how_to_make_one(tmp_path: Path) -> None:
    with make_database() as address:
        lake = Lake(tmp_path, catalog_address=address)
        with pytest.raises(Unavailable, match="make one with `scorelake apply`"), read_lake(lake):
            pass
        assert not lake.catalog.exists()


def test_a_database_that_is_away_is_told_without_the_password(tmp_path: Path) -> None:
    lake = Lake(tmp_path, catalog_address="postgres://me:hunter2@127.0.0.1:1/lake")
    with pytest.raises(Unavailable, match=r"postgres://127\.0\.0\.1:1/lake does not answer") as told, read_lake(lake):
        pass
    assert "hunter2" not in str(told.value) + repr(lake) + repr(lake.catalog)


def test_an_address_of_another_kind_is_refused_and_not_shown(tmp_path: Path) -> None:
    lake = Lake(tmp_path, catalog_address="hunter2 is my password")
    with pytest.raises(BadData, match=r"expected postgres://user:password@host:port/database") as told, read_lake(lake):
        pass
    assert "hunter2" not in str(told.value)


def test_a_second_writer_is_told_who_holds_the_lake_and_readers_go_on(shared: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = run_elsewhere(hold, shared, ready, done)
    assert ready.wait(30)
    expected = rf"being written by score sentiment, process {process.pid} on .*; waited 0:00:01"
    with pytest.raises(Unavailable, match=expected), write_lake(shared, purpose="mine", wait_seconds=1):
        pass
    assert read_words(shared) == ["first"]
    assert find_dead_writer(shared) is None
    done.set()
    process.join(30)
    insert(shared, "second")
    assert read_words(shared) == ["first", "second"]


def test_a_killed_writer_frees_the_lock_and_leaves_no_file(shared: Lake) -> None:
    run_elsewhere(insert_and_die, shared).join(60)
    assert str(wait_for_dead_writer(shared)).startswith("die, process ")
    before = set(Path(shared.storage.data).rglob("*.parquet"))
    insert(shared, "second")
    with read_lake(shared) as connection:
        known = {
            row[0]
            for row in connection.execute(
                "select data_file from ducklake_list_files('lake', 'rows', schema => 'notes')"
            ).fetchall()
        }
    assert len(before) == 2
    assert {str(path) for path in Path(shared.storage.data).rglob("*.parquet")} == known
    assert find_dead_writer(shared) is None
    assert read_words(shared) == ["first", "second"]


def test_a_writer_whose_lock_was_cut_off_commits_nothing_once_another_has_taken_it(shared: Lake) -> None:
    def be_overtaken(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(INSERT, ["stale"])
        cut_lock(shared)
        overtaking = run_elsewhere(insert, shared, "second")
        overtaking.join(60)
        assert overtaking.exitcode == 0

    with (
        pytest.raises(Unavailable, match=r"does not hold the writer lock any more.*nothing was written"),
        write_lake(shared, purpose="stale") as connection,
    ):
        run_transaction(connection, be_overtaken)
    assert read_words(shared) == ["first", "second"]
    insert(shared, "third")
    assert read_words(shared) == ["first", "second", "third"]


def test_a_writer_whose_lock_was_cut_off_and_nobody_took_it_commits(shared: Lake) -> None:
    with write_lake(shared, purpose="cut") as connection:
        cut_lock(shared)
        run_transaction(connection, lambda inside: inside.execute(INSERT, ["second"]))
    assert read_words(shared) == ["first", "second"]
    insert(shared, "third")
    assert read_words(shared) == ["first", "second", "third"]


def test_a_commit_that_lost_the_catalog_is_not_repeated(shared: Lake) -> None:
    attempts = []

    def lose(connection: duckdb.DuckDBPyConnection) -> None:
        attempts.append(connection.execute(INSERT, ["lost"]))
        with psycopg.connect(str(shared.catalog_address), autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and application_name = ''"
            )

    with (
        pytest.raises(Unavailable, match=r"lost in the middle of a transaction.*Run it again"),
        write_lake(shared, purpose="lose") as connection,
    ):
        run_transaction(connection, lose)
    assert len(attempts) == 1
    assert read_words(shared) == ["first"]
    insert(shared, "second")
    assert read_words(shared) == ["first", "second"]


def test_a_reader_that_does_not_get_to_the_catalog_any_more_is_told_so_and_later_does(shared: Lake) -> None:
    assert read_words(shared) == ["first"]
    with allow_nobody(shared):
        cut_all(shared)
        expected = (
            r"the catalog postgres://\S+ does not answer: connection to server .*not currently accepting.*Try again"
        )
        with pytest.raises(Unavailable, match=expected):
            read_words(replace(shared, memory_limit="1GB"))  # for which there is no connection yet
    assert read_words(shared) == ["first"]


def test_a_reader_that_lost_the_catalog_and_does_not_notice_ends_well(shared: Lake) -> None:
    with read_lake(shared) as connection:
        connection.execute("begin transaction; select word from notes.rows").fetchall()
        cut_all(shared)
    assert read_words(shared) == ["first"]


def test_the_database_itself_refuses_a_writer_that_does_not_take_the_lock(shared: Lake) -> None:
    with duckdb.connect() as stranger:
        for extension in ("postgres_scanner", DUCKLAKE):
            stranger.execute(f"load '{find_extension(extension)}'")
        stranger.execute(f"attach 'ducklake:postgres:{shared.catalog_address}' as lake")
        with pytest.raises(duckdb.Error, match="does not hold the writer lock"):
            stranger.execute("insert into lake.notes.rows values ('by the back door')")
    assert read_words(shared) == ["first"]


def test_a_reader_cannot_write_and_sees_no_password(shared: Lake) -> None:
    words = f"{shared.catalog_address}?password=hunter2"
    with read_lake(replace(shared, catalog_address=words)) as connection:
        with pytest.raises(duckdb.InvalidInputException, match="read-only mode"):
            connection.execute("delete from notes.rows")
        shown = connection.execute(
            "select (from duckdb_databases() select list(path)), (from duckdb_secrets() select list(secret_string))"
        )
        assert "hunter2" not in str(shown.fetchall())


def test_a_purge_takes_deleted_values_out_of_the_database(shared: Lake) -> None:
    insert(shared, "zebra")
    with write_lake(shared, purpose="test") as connection:
        connection.execute("delete from notes.rows where word = 'zebra'")
    receipt = purge_deleted(shared, {"notes.rows": ("word",)}, before=None)
    assert receipt.files_deleted
    with psycopg.connect(str(shared.catalog_address)) as connection:
        found = connection.execute("select min_value, max_value from ducklake_file_column_stats").fetchall()
    assert "zebra" not in str(found)
    assert read_words(shared) == ["first"]
