"""Deleted values leave the disk, and only they."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import Run
from feature_repo.publication import Publication, publish_run
from feature_repo.upkeep import purge_deleted

COLUMNS = {"raw.comments": ("text",)}
NOW = datetime.now(UTC)  # DuckLake dates its snapshots by its own clock
PAST, FUTURE = NOW - timedelta(days=7), NOW + timedelta(days=7)


def build_rows(parent_id: str | None = None, **texts: str) -> str:
    """The query for comments with these texts by id."""
    parent = f"'{parent_id}'" if parent_id else "null::varchar"
    rows = ", ".join(f"('{name}', '{text}')" for name, text in texts.items())
    return (
        "select name as comment_id, name as text_id, null::varchar as channel_id, null::varchar as video_id, "
        f"{parent} as parent_id, null::varchar as author_id, text, null::timestamptz as published_at, now() as "
        "observed_at, false as is_observed_at_imputed, 's' as source, 'b' as batch_id, 1::bigint as ingest_seq "
        f"from (values {rows}) as texts (name, text)"
    )


def add(lake: Lake, parent_id: str | None = None, **texts: str) -> None:
    """Append comments, in a file of their own."""
    write(lake, f"insert into raw.comments by name {build_rows(parent_id, **texts)}")


def publish(lake: Lake, run_id: str, **texts: str) -> None:
    """Append comments as a file that is registered."""
    file = lake.staging / run_id / "comments.parquet"
    file.parent.mkdir(parents=True)
    with write_lake(lake, purpose="test") as connection:
        connection.execute(f"copy ({build_rows(**texts)}) to '{file}' (format parquet)")
        publish_run(
            connection, lake, Publication(Run(run_id, "test", NOW, NOW), "day=1", {"raw.comments": [str(file)]})
        )
    file.parent.rmdir()


def write(lake: Lake, statement: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(statement)


def read(lake: Lake, where: str = "true") -> dict[str, str | None]:
    with read_lake(lake) as connection:
        return dict(
            connection.execute(f"select comment_id, text from raw.comments where {where} order by 1").fetchall()
        )


def find_on_disk(lake: Lake, text: str) -> list[str]:
    """Kinds of the lake's files that hold a text: Parquet is compressed, so it is read; the rest is searched."""
    found = []
    for file in sorted(path for path in lake.folder.rglob("*") if path.is_file()):
        if file.suffix == ".parquet":
            content = str(duckdb.execute("from read_parquet(?)", [str(file)]).fetchall()).encode()
        else:
            content = file.read_bytes()
        if text.encode() in content:
            found.append(file.suffix)
    return found


def test_a_deleted_text_is_on_disk_until_its_last_snapshot_goes(lake: Lake) -> None:
    add(lake, a="Aardvark", b="mouse", z="zebra")
    add(lake, c="cat")
    write(lake, "update raw.comments set text = null where comment_id in ('a', 'z')")

    kept = purge_deleted(lake, COLUMNS, before=PAST)
    assert (kept.rows_moved, kept.snapshots_expired, kept.files_deleted) == (1, 0, 0)
    assert find_on_disk(lake, "Aardvark") == [".sqlite", ".parquet"]

    gone = purge_deleted(lake, COLUMNS, before=FUTURE)
    assert (gone.rows_moved, gone.files_deleted) == (0, 2)
    assert gone.snapshots_expired > 3
    for text in ("Aardvark", "zebra"):
        assert find_on_disk(lake, text) == []
    assert find_on_disk(lake, "mouse") == [".sqlite", ".parquet"]
    assert read(lake) == {"a": None, "b": "mouse", "c": "cat", "z": None}


def test_a_text_leaves_the_statistics_if_every_row_is_gone(lake: Lake) -> None:
    add(lake, a="Aardvark", z="zebra")
    write(lake, "delete from raw.comments")
    purge_deleted(lake, COLUMNS, before=FUTURE)
    assert find_on_disk(lake, "Aardvark") == []
    add(lake, m="mouse")
    purge_deleted(lake, COLUMNS, before=FUTURE)
    assert read(lake, "text = 'mouse'") == {"m": "mouse"}


def test_the_past_stays_readable_within_the_horizon(lake: Lake) -> None:
    add(lake, a="Aardvark", b="mouse")
    with read_lake(lake) as connection:
        before = connection.execute("from ducklake_current_snapshot('lake')").fetchall()[0][0]
    write(lake, "update raw.comments set text = null where comment_id = 'a'")
    purge_deleted(lake, COLUMNS, before=PAST)
    with read_lake(lake) as connection:
        past = f"select text from raw.comments at (version => {before}) order by 1"
        assert connection.execute(past).fetchall() == [("Aardvark",), ("mouse",)]


def test_rows_are_found_whatever_is_appended_after_a_purge(lake: Lake) -> None:
    """DuckLake's own rewrite forgets that a column which is null throughout a file has values elsewhere."""
    add(lake, parent_id="p", r="reply", x="removed")
    add(lake, a="Aardvark", n="nobody", z="zebra")
    write(lake, "update raw.comments set text = null where comment_id = 'n'")
    write(lake, "delete from raw.comments where comment_id = 'x'")
    assert purge_deleted(lake, COLUMNS, before=FUTURE).rows_moved == 3
    add(lake, parent_id="q", o="other")
    expected = {
        "text = 'zebra'": ["z"],
        "text < 'b'": ["a"],
        "text > 'n'": ["o", "r", "z"],
        "parent_id = 'p'": ["r"],
        "parent_id > 'n'": ["o", "r"],
        "text is null": ["n"],
        "text is not null and parent_id is null": ["a", "z"],
    }
    assert {where: list(read(lake, where)) for where in expected} == expected


def test_registered_files_are_moved_and_orphans_still_found(lake: Lake) -> None:
    publish(lake, "first", a="Aardvark", b="mouse")
    write(lake, "update raw.comments set text = null where comment_id = 'a'")
    purge_deleted(lake, COLUMNS, before=FUTURE)
    assert find_on_disk(lake, "Aardvark") == []

    orphan = Path(lake.storage.data) / "raw" / "comments" / "day=1" / "killed" / "0.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    lake.catalog.locate_lock("writer").with_suffix(".holder.json").write_text("{}")  # the name of one that was killed
    publish(lake, "second", c="cat")
    assert not orphan.exists()
    purge_deleted(lake, COLUMNS, before=FUTURE)
    assert read(lake) == {"a": None, "b": "mouse", "c": "cat"}


def test_what_a_killed_writer_left_goes_and_a_lake_that_was_moved_stays_whole(lake: Lake, tmp_path: Path) -> None:
    add(lake, a="Aardvark", b="mouse")
    publish(lake, "first", c="cat", d="dog")
    write(lake, "delete from raw.comments where comment_id = 'd'")
    left = Path(lake.storage.data) / "raw" / "comments" / "ducklake-left.parquet"
    with write_lake(lake, purpose="killed") as connection:
        connection.execute(f"copy ({build_rows(z='zebra')}) to '{left}' (format parquet)")
    lake = Lake(lake.home.rename(tmp_path / "moved"))
    assert purge_deleted(lake, COLUMNS, before=PAST).files_deleted == 0, "it may be of a writer at work"
    assert find_on_disk(lake, "zebra") == [".parquet"]
    gone = purge_deleted(lake, COLUMNS, before=FUTURE)
    assert (gone.files_deleted, gone.orphans_deleted) == (3, 1)
    assert find_on_disk(lake, "zebra") == find_on_disk(lake, "dog") == []
    assert read(lake) == {"a": "Aardvark", "b": "mouse", "c": "cat"}


def test_without_an_instant_every_snapshot_but_the_present_goes_at_once(lake: Lake) -> None:
    add(lake, a="Aardvark", b="mouse")
    write(lake, "delete from raw.comments where comment_id = 'a'")
    assert purge_deleted(lake, COLUMNS, before=None).snapshots_expired > 3
    assert find_on_disk(lake, "Aardvark") == []
    with read_lake(lake) as connection:
        assert connection.execute("select count(*) from lake.snapshots()").fetchall() == [(1,)]
    assert read(lake) == {"b": "mouse"}


def test_where_nothing_was_deleted_nothing_is_moved(lake: Lake) -> None:
    add(lake, a="one", b="two")
    purge_deleted(lake, COLUMNS, before=FUTURE)
    files = {path: path.stat().st_mtime_ns for path in Path(lake.storage.data).rglob("*.parquet")}
    again = purge_deleted(lake, COLUMNS, before=FUTURE)
    assert (again.rows_moved, again.snapshots_expired, again.files_deleted) == (0, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in Path(lake.storage.data).rglob("*.parquet")} == files


def test_a_catalog_that_is_being_read_is_rewritten_the_next_time(lake: Lake) -> None:
    impatient = replace(lake, lock_wait_seconds=0.1)
    add(lake, a="Aardvark")
    write(lake, "update raw.comments set text = null")
    with closing(sqlite3.connect(lake.catalog.file, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from ducklake_snapshot").fetchall()
        with pytest.raises(Unavailable, match="deleted values stay in its pages; the next purge takes them"):
            purge_deleted(impatient, COLUMNS, before=FUTURE)
        assert read(lake) == {"a": None}
    purge_deleted(lake, COLUMNS, before=FUTURE)
    assert find_on_disk(lake, "Aardvark") == []
