"""Small files become few, and nothing that is read is different."""

import multiprocessing
import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from feature_repo.compaction import compact_tables
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import Run
from feature_repo.publication import Publication, publish_run
from feature_repo.sources.revert import revert_batch
from feature_repo.upkeep import list_files, purge_deleted
from tests.feature_repo.raw_rows import START, add_batch, insert

NOW = datetime.now(UTC)  # DuckLake dates its snapshots by its own clock
PAST, FUTURE = NOW - timedelta(days=7), NOW + timedelta(days=7)
DIGEST = "select count(*), bit_xor(hash(row)), sum(ingest_seq) from (select * from raw.comments) as row"
BATCHES = 8  # as few as are merged


@pytest.fixture(scope="module")
def filled_home(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batches of one comment each, every other one a reply: a file per table and batch."""
    home = Path(shutil.copytree(seed_home, tmp_path_factory.mktemp("filled") / "home"))
    for number in range(BATCHES):
        parent = {"parent_id": "c0"} if number % 2 else {}
        add_batch(Lake(home), comments=[{"comment_id": f"c{number}", "text": f"text {number}", **parent}])
    return home


@pytest.fixture
def lake(filled_home: Path, tmp_path: Path) -> Lake:
    return Lake(Path(shutil.copytree(filled_home, tmp_path / "home")))


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def count_files(lake: Lake, table: str = "raw.comments") -> int:
    with read_lake(lake) as connection:
        return len(list_files(connection, table))


def read_snapshot(lake: Lake) -> int:
    return int(query(lake, "from ducklake_current_snapshot('lake')")[0][0])


def test_many_files_become_one_and_the_content_is_the_same(lake: Lake) -> None:
    before, seen = query(lake, DIGEST), []
    receipt = compact_tables(lake, on_progress=lambda done, total: seen.append((done, total)))
    assert count_files(lake) == count_files(lake, "ops.runs") == 1
    assert query(lake, DIGEST) == before
    assert receipt.tables == ("ops.runs", "raw.comments")
    assert receipt.files_before - receipt.files_after == 2 * (BATCHES - 1)
    assert 0 < receipt.bytes_after < receipt.bytes_before
    assert seen[-1] == (len(seen), len(seen))
    again = compact_tables(lake)
    assert (again.tables, again.files_before) == ((), receipt.files_after)


def test_few_files_are_left_as_they_are(lake: Lake) -> None:
    compact_tables(lake)
    add_batch(lake, comments=[{"comment_id": "later"}])
    assert compact_tables(lake).tables == ()
    assert count_files(lake) == 2


def test_old_snapshots_data_versions_and_the_way_back_are_as_before(lake: Lake) -> None:
    past = f"select comment_id from raw.comments at (version => {read_snapshot(lake)}) order by 1"
    then = query(lake, past)
    add_batch(lake, comments=[{"comment_id": "later"}])
    compact_tables(lake)
    purge_deleted(lake, {"raw.comments": ("text",)}, before=PAST)
    assert query(lake, past) == then == [(f"c{number}",) for number in range(BATCHES)]
    assert query(lake, "select comment_id from raw.comments where ingest_seq <= 3 order by 1") == then[:3]
    revert_batch(lake, "b2", run_id="revert", now=START)
    left = query(lake, "select comment_id from raw.comments order by 1")
    assert left == [(f"c{number}",) for number in range(BATCHES) if number != 1] + [("later",)]


def test_rows_are_found_by_every_bound_whatever_comes_after(lake: Lake) -> None:
    """A column that is null throughout some files has its bounds from the others."""
    compact_tables(lake)
    add_batch(lake, comments=[{"comment_id": "c99", "parent_id": "z", "text": "zebra"}])
    expected = {
        "parent_id = 'c0'": BATCHES // 2,
        "parent_id > 'n'": 1,
        "parent_id is null": BATCHES // 2,
        "text = 'text 3'": 1,
        "text > 'text 6'": 2,
        "ingest_seq between 2 and 4": 3,
    }
    found = {where: query(lake, f"select count(*) from raw.comments where {where}")[0][0] for where in expected}
    assert found == expected


def test_registered_files_are_merged_too(lake: Lake) -> None:
    before = query(lake, "select * exclude (batch_id) from raw.comments order by comment_id")
    for number in range(BATCHES):
        file = lake.staging / f"r{number}" / "0.parquet"
        file.parent.mkdir(parents=True)
        with write_lake(lake, purpose="test") as connection:
            connection.execute(
                f"copy (select * replace ('r' as batch_id) from raw.comments where comment_id = 'c{number}' and "
                f"batch_id <> 'r') to '{file}' (format parquet)"
            )
            run = Run(f"r{number}", "test", NOW, NOW)
            publish_run(connection, lake, Publication(run, "day=1", {"raw.comments": [str(file)]}))
    compact_tables(lake)
    assert count_files(lake) == 1
    for which in ("=", "<>"):
        sql = f"select * exclude (batch_id) from raw.comments where batch_id {which} 'r' order by comment_id"
        assert query(lake, sql) == before


def test_what_is_deleted_in_a_merged_file_leaves_the_disk(lake: Lake) -> None:
    compact_tables(lake)
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from raw.comments where comment_id = 'c3'")
    purge_deleted(lake, {"raw.comments": ("text",)}, before=FUTURE)
    assert len(list((Path(lake.storage.data) / "raw" / "comments").rglob("*.parquet"))) == count_files(lake) == 1
    assert query(lake, "select count(*) from raw.comments") == [(BATCHES - 1,)]


def die_in_a_step(home: Path) -> None:
    """Write the rows anew in a transaction that is never committed."""
    with write_lake(Lake(home), purpose="killed") as connection:
        connection.execute("begin transaction")
        connection.execute("insert into raw.comments from raw.comments")
        os.kill(os.getpid(), signal.SIGKILL)


def test_killed_in_a_step_the_next_call_goes_on(lake: Lake) -> None:
    before = query(lake, DIGEST)
    process = multiprocessing.get_context("spawn").Process(target=die_in_a_step, args=(lake.home,))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert (query(lake, DIGEST), count_files(lake)) == (before, BATCHES)
    compact_tables(lake)
    purge_deleted(lake, {"raw.comments": ("text",)}, before=FUTURE)
    assert len(list((Path(lake.storage.data) / "raw" / "comments").rglob("*.parquet"))) == count_files(lake)
    assert (query(lake, DIGEST), count_files(lake)) == (before, 1)


def test_a_reader_goes_on_within_its_transaction(lake: Lake) -> None:
    """DuckLake's own merge shows such a reader no rows at all."""
    with read_lake(lake) as connection:
        connection.execute("begin transaction")
        before = connection.execute(DIGEST).fetchall()
        compact_tables(lake)
        assert connection.execute(DIGEST).fetchall() == before
        connection.execute("commit")
        assert connection.execute(DIGEST).fetchall() == before


def test_rows_lie_in_the_order_of_time(lake: Lake) -> None:
    for number in reversed(range(BATCHES)):
        row = {"channel_id": "c", "event_timestamp": START + timedelta(hours=number), "ingest_seq": 1}
        with write_lake(lake, purpose="test") as connection:
            insert(connection, "features.channel_statistics", row | {"created_timestamp": START})
    compact_tables(lake)
    with read_lake(lake) as connection:
        [file] = list_files(connection, "features.channel_statistics")
    written = pq.read_table(file.path).column("event_timestamp").to_pylist()
    assert written == sorted(written)
    assert len(written) == BATCHES
