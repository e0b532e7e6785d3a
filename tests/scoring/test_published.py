"""The published file: always what the lake holds, whatever happened to the lake, to it, or to who made it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from feature_repo.contracts import list_expiring
from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.upkeep import purge_deleted
from scoring.published import locate_published, publish_file
from scoring.published_tables import list_published
from tests.scoring.score_rows import Score, append_scores

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def published_home(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two scores, which are published."""
    home = tmp_path_factory.mktemp("published") / "home"
    lake = Lake(shutil.copytree(seed_home, home))
    append_scores(lake, "spam", "run-1", [Score("a", "spam"), Score("b", "ham", day=1)])
    assert publish_file(lake, run_id="run-1").is_whole
    return home


@pytest.fixture
def scored(published_home: Path, tmp_path: Path) -> Lake:
    """A copy of that lake, the test's own."""
    return Lake(shutil.copytree(published_home, tmp_path / "home", symlinks=True))


@pytest.fixture(scope="module")
def shared(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A copy that tests change one after the other: whatever they leave, the next publication is as the lake."""
    return Lake(shutil.copytree(published_home, tmp_path_factory.mktemp("shared") / "home", symlinks=True))


def open_published(lake: Lake) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(locate_published(lake)), read_only=True)


def read_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        str(table.name): connection.execute(f"select * from {table.name} order by all").fetchall()
        for table in list_published()
    }


def is_as_the_lake(lake: Lake) -> bool:
    with read_lake(lake) as connection, open_published(lake) as published:
        return read_tables(connection) == read_tables(published)


def score_again(lake: Lake) -> None:
    append_scores(lake, "spam", f"run-{uuid4()}", [Score("a", "ham", day=1), Score("c", "ham")])


def execute(*statements: str) -> Callable[[Lake], None]:
    def change(lake: Lake) -> None:
        with write_lake(lake, purpose="test") as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def purge(lake: Lake) -> None:
    execute("delete from scores.spam where comment_id = 'a'")(lake)
    tables = {**list_expiring(), "scores.spam": ("comment_id",)}
    assert purge_deleted(lake, tables, before=LONG_AGO).rows_moved > 0


def test_a_plain_client_finds_every_table_under_its_name_and_with_its_comments(scored: Lake) -> None:
    assert is_as_the_lake(scored)
    with open_published(scored) as published:
        spam = published.execute("select comment_id, label from scores.spam_current order by all").fetchall()
        silent = published.execute("select * from duckdb_columns() where not internal and comment is null").fetchall()
        schemas = published.execute("select distinct schema_name from duckdb_tables() order by all").fetchall()
        tags = published.execute("select tags from duckdb_databases() where not internal").fetchall()
    assert spam == [("a", "spam"), ("b", "ham")]
    assert silent == []
    assert schemas == [("monitoring",), ("ops",), ("scores",)]
    assert tags[0][0] == {"storage_version": "v1.0.0+"}
    file = locate_published(scored).resolve()
    assert (file.name, file.stat().st_mode & 0o777) == ("scorelake-run-1.duckdb", 0o444)
    assert sorted(path.suffix for path in file.parent.iterdir()) == [".duckdb", ".duckdb", ".lock"]


@pytest.mark.parametrize(
    "change",
    [
        execute("insert into ops.promotions by name select now() as decided_at, 'spam' as model, '1' as version, "
                "'promoted' as action, ['good'] as reasons, 'r' as run_id"),
        execute("delete from scores.spam_current where comment_id = 'a'"),
        execute("update scores.spam_current set label = 'ham'", "delete from scores.channel_daily"),
        execute("delete from scores.spam", "insert into scores.spam by name from scores.spam_current"),
        execute("begin", "update scores.spam_current set confidence = 0.75", "delete from scores.spam_current "
                "where comment_id = 'a'", "update scores.spam_current set confidence = 1", "commit"),
        execute("call ducklake_merge_adjacent_files('lake')"),
        execute("delete from scores.spam where comment_id = 'b'", "call ducklake_rewrite_data_files('lake')"),
        purge,
    ],
    ids=["promoted", "deleted", "updated", "replaced", "twice at once", "merged", "rewritten", "moved"],
)  # fmt: skip
def test_changes_are_followed(shared: Lake, change: Callable[[Lake], None]) -> None:
    score_again(shared)
    change(shared)
    assert not publish_file(shared, run_id=f"run-{uuid4()}").is_whole
    assert is_as_the_lake(shared)


def test_only_rows_whose_key_has_changed_are_written(scored: Lake) -> None:
    score_again(scored)
    rows = publish_file(scored, run_id="run-2").rows
    assert {table: count for table, count in rows.items() if count} == {
        "scores.spam": 2,
        "scores.spam_current": 2,
        "scores.channel_daily": 4,
        "scores.video_summary": 2,
    }
    assert publish_file(scored, run_id="run-3").rows == {}


def expire(lake: Lake) -> None:
    purge_deleted(lake, list_expiring(), before=datetime.now(UTC) + timedelta(days=1))


def expire_one(lake: Lake) -> None:
    score_again(lake)
    with write_lake(lake, purpose="test") as connection:
        newest = connection.execute("select max(snapshot_id) from lake.snapshots()").fetchall()[0][0]
        connection.execute(f"call ducklake_expire_snapshots('lake', versions => [{newest - 1}])")


def change_file(sql: str) -> Callable[[Lake], None]:
    def change(lake: Lake) -> None:
        file = locate_published(lake).resolve()
        file.chmod(0o644)
        with duckdb.connect(str(file)) as published:
            published.execute(sql)

    return change


def break_file(lake: Lake) -> None:
    file = locate_published(lake).resolve()
    file.chmod(0o644)
    file.write_bytes(b"not a database" * 1_000)


def cut_file(lake: Lake) -> None:
    file = locate_published(lake).resolve()
    file.chmod(0o644)
    os.truncate(file, file.stat().st_size // 2)


def change_block(lake: Lake) -> None:
    file = locate_published(lake).resolve()
    file.chmod(0o644)
    with file.open("r+b") as blocks:
        blocks.seek(-200_000, os.SEEK_END)  # in the last block, which holds rows: the file opens all the same
        blocks.write(b"of something else")


@pytest.mark.parametrize(
    "damage",
    [
        expire,
        expire_one,
        break_file,
        cut_file,
        change_block,
        lambda lake: locate_published(lake).resolve().unlink(),
        change_file("update ops.publication set declarations = 'of another release'"),
        change_file("update ops.publication set snapshot_at = snapshot_at - interval '1 second'"),  # another lake
        change_file("update ops.publication set snapshot_id = snapshot_id + 1_000"),
        change_file("update ops.publication set updates = 50"),
    ],
    ids=[
        "expired",
        "gap",
        "broken",
        "cut",
        "damaged",
        "gone",
        "declared otherwise",
        "another lake",
        "from the future",
        "often updated",
    ],
)
def test_what_cannot_be_followed_is_written_whole(shared: Lake, damage: Callable[[Lake], None]) -> None:
    score_again(shared)
    damage(shared)
    assert publish_file(shared, run_id=f"run-{uuid4()}").is_whole
    assert is_as_the_lake(shared)


def test_an_open_file_is_read_to_its_end(scored: Lake) -> None:
    with open_published(scored) as reader:
        before = read_tables(reader)
        first = locate_published(scored).resolve()
        score_again(scored)
        for run in ("run-2", "run-3", "run-4"):
            os.utime(locate_published(scored).resolve(), (0, 0))  # older than an hour
            publish_file(scored, run_id=run)
        assert not first.exists()
        assert read_tables(reader) == before
    assert sorted(file.name for file in first.parent.glob("*-run-*")) == [
        "scorelake-run-3.duckdb",
        "scorelake-run-4.duckdb",
    ]
    assert is_as_the_lake(scored)


def test_files_of_the_last_hour_stay(scored: Lake) -> None:
    for run in ("run-2", "run-3", "run-4"):
        publish_file(scored, run_id=run)
    assert len(list(locate_published(scored).parent.glob("scorelake-*.duckdb"))) == 4


def test_several_at_once_do_not_hurt(scored: Lake) -> None:
    score_again(scored)
    with ThreadPoolExecutor(3) as pool:
        receipts = list(pool.map(lambda run: publish_file(scored, run_id=run), ["a", "b", "c"]))
    assert len({receipt.file for receipt in receipts}) == 3
    assert sum(sum(receipt.rows.values()) > 0 for receipt in receipts) == 1
    assert is_as_the_lake(scored)


PUBLISH_FOR_EVER = """
import itertools, pathlib, sys
from feature_repo.lake import Lake
from scoring.published import publish_file
from tests.scoring.score_rows import Score, append_scores
lake = Lake(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    append_scores(lake, "spam", f"endless-{number}", [Score("a", "ham", day=number), Score(str(number), "spam")])
    print(publish_file(lake, run_id=f"endless-{number}").file, flush=True)
"""


def test_a_kill_leaves_the_file_before_and_at_most_drafts_that_the_next_run_removes(scored: Lake) -> None:
    command = [sys.executable, "-c", PUBLISH_FOR_EVER, str(scored.home)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    published = [child.stdout.readline() for _ in range(2)][-1].strip()
    child.send_signal(signal.SIGKILL)
    child.wait()
    folder = locate_published(scored).parent
    (folder / "draft-killed.duckdb").write_bytes(b"half")
    (folder / "draft-killed.duckdb.wal").write_bytes(b"half")
    (folder / "draft-link").symlink_to("draft-killed.duckdb")
    with open_published(scored) as connection:
        seen = connection.execute("select count(*) from scores.spam where run_id like 'endless-%'").fetchone()
    assert seen is not None
    assert Path(published).name == "scorelake-endless-1.duckdb"
    assert seen[0] >= 4
    publish_file(scored, run_id="after")
    assert is_as_the_lake(scored)
    assert list(folder.glob("draft-*")) == []


def test_a_log_left_beside_the_link_is_not_replayed(scored: Lake) -> None:
    log = locate_published(scored).with_name("scorelake.duckdb.wal")
    log.write_bytes(b"of another file")
    score_again(scored)
    publish_file(scored, run_id="run-2")
    assert not log.exists()
    assert is_as_the_lake(scored)


def test_without_a_lake_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no lake at"):
        publish_file(Lake(tmp_path / "nowhere"), run_id="run-1")
    assert not (tmp_path / "nowhere").exists()
