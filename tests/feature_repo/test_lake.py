import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psutil
import pytest

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, add_files, read_lake, run_transaction, write_lake
from tests.flows.prefect_calls import wait_for

MEBIBYTE = 1 << 20


def _hold(home: Path, ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with write_lake(Lake(home), purpose="score sentiment"):
        ready.set()
        done.wait(30)


@pytest.fixture
def held_lake(lake: Lake) -> Iterator[tuple[Lake, int | None]]:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(lake.home, ready, done))
    process.start()
    assert ready.wait(30)
    yield lake, process.pid
    done.set()
    process.join(30)


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(BadData, match=r"must be an absolute path, found '\.scorelake'"):
        Lake(Path(".scorelake"))


def test_reading_where_no_lake_is_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no lake at .*; make one with `scorelake apply`"), read_lake(Lake(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_is_told_who_holds_the_lake(held_lake: tuple[Lake, int]) -> None:
    lake, holder = held_lake
    expected = rf"being written by score sentiment, process {holder} on .*; waited 0:00:01"
    with pytest.raises(Unavailable, match=expected), write_lake(lake, purpose="mine", wait_seconds=1):
        pass


def test_a_reader_is_not_blocked_by_a_writer(held_lake: tuple[Lake, int]) -> None:
    lake, _ = held_lake
    with read_lake(lake) as connection:
        assert connection.execute("select count(*) from raw.comments").fetchone() == (0,)


def test_an_instant_without_a_zone_is_utc_wherever_the_machine_stands(lake: Lake) -> None:
    code = """
import pathlib, sys
from feature_repo.lake import Lake, read_lake
with read_lake(Lake(pathlib.Path(sys.argv[1]))) as connection:
    print(connection.execute("select epoch(cast(timestamp '1970-01-02' as timestamptz))").fetchall()[0][0])
"""
    environment = {**os.environ, "TZ": "Asia/Kolkata"}
    command = [sys.executable, "-c", code, str(lake.home)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert float(found.stdout) == 86_400


def test_a_process_gives_back_the_memory_that_a_query_took(lake: Lake) -> None:
    with read_lake(lake):
        pass
    process = psutil.Process()
    before = process.memory_info().rss
    with read_lake(lake) as connection:
        connection.execute("select count(distinct 7919 * range) from range(4_000_000)").fetchone()
    taken = process.memory_info().rss - before
    assert taken > 60 * MEBIBYTE
    wait_for("giving back", lambda: process.memory_info().rss - before < taken / 2, 30)


def test_a_reader_cannot_write(lake: Lake) -> None:
    with read_lake(lake) as connection, pytest.raises(duckdb.InvalidInputException, match="read-only mode"):
        connection.execute("delete from raw.comments")


def test_a_failed_transaction_leaves_nothing(lake: Lake) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("insert into ops.leases values ('a', 'r', 'h', 1, now(), now(), null)")
        raise BadData("stop")

    with write_lake(lake, purpose="test") as connection:
        with pytest.raises(BadData, match="stop"):
            run_transaction(connection, work)
        assert connection.execute("select count(*) from ops.leases").fetchone() == (0,)


def test_registered_files_and_rows_are_committed_as_one(lake: Lake) -> None:
    file = Path(lake.storage.data) / "ops" / "leases" / "day=1" / "0.parquet"
    file.parent.mkdir(parents=True)

    def work(connection: duckdb.DuckDBPyConnection, *, fails: bool) -> None:
        add_files(connection, "ops.leases", [str(file)])
        connection.execute("insert into ops.leases values ('b', 'r', 'h', 1, now(), now(), null)")
        if fails:
            raise BadData("stop")

    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            f"copy (select 'a' as name, 'r' as run_id, 'h' as host, 1::bigint as process_id, "
            "now() as acquired_at, now() as expires_at, null::timestamptz as process_started_at) "
            f"to '{file}' (format parquet)"
        )
        with pytest.raises(BadData, match="stop"):
            run_transaction(connection, lambda connection: work(connection, fails=True))
        assert connection.execute("select count(*) from ops.leases").fetchone() == (0,)
        run_transaction(connection, lambda connection: work(connection, fails=False))
        assert connection.execute("select name from ops.leases order by name").fetchall() == [("a",), ("b",)]


def test_a_lake_that_was_moved_is_read_where_it_lies(lake: Lake, tmp_path: Path) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("insert into ops.leases values ('a', 'r', 'h', 1, now(), now(), null)")
    moved = lake.home.rename(tmp_path / "moved")
    with read_lake(Lake(moved)) as connection:
        assert connection.execute("select name from ops.leases").fetchall() == [("a",)]
