"""Lakes of other releases: an earlier one is brought up to date, one from the future is refused and left as it is."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.release import SCHEMA_VERSION, LaterRelease, Release, read_own_name, read_release
from flows.stage import prepare_lake
from tests.flows.commands import run_command

FUTURE = SCHEMA_VERSION + 1


def execute(lake: Lake, *statements: str) -> None:
    def run(connection: duckdb.DuckDBPyConnection) -> None:
        for sql in statements:
            connection.execute(sql)

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, run)


def mark_release(lake: Lake, release: Release) -> None:
    execute(lake, f"comment on table ops.releases is '{release.mark}'")


def come_from_the_future(lake: Lake, *, readable_since: int = FUTURE) -> None:
    """Be migrated by a release that does not exist yet."""
    mark_release(lake, Release(FUTURE, readable_since, "9.9.0"))


def take_newer_format(lake: Lake) -> None:
    with closing(sqlite3.connect(lake.catalog_file)) as connection, connection:
        connection.execute("update ducklake_metadata set value = '99.0' where key = 'version'")


def read_files(home: Path) -> dict[str, bytes]:
    beside = ("-wal", "-shm", ".lock")  # readers make them
    paths = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(beside))
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


def read_newest(lake: Lake) -> Release | None:
    with read_lake(lake) as connection:
        return read_release(connection)


def test_a_new_lake_says_which_release_made_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "home")
    before = datetime.now(UTC)
    prepare_lake(lake)
    assert read_newest(lake) == Release(SCHEMA_VERSION, 1, read_own_name())
    with read_lake(lake) as connection:
        (migrated_at,) = connection.execute("select migrated_at from ops.releases").fetchall()[0]
    assert before <= migrated_at <= datetime.now(UTC)
    assert prepare_lake(lake) == ()


def test_a_lake_from_before_schemas_were_numbered_is_brought_up_to_date_with_its_rows(lake: Lake) -> None:
    execute(
        lake,
        "insert into ops.leases values ('kept', 'r', 'h', 1, now(), now(), null)",
        "alter table ops.runs drop column cpu_seconds",
        "drop table ops.releases",
    )
    assert read_newest(lake) is None
    assert prepare_lake(lake) == ("ops.runs", "ops.releases")
    assert read_newest(lake) == Release(SCHEMA_VERSION, 1, read_own_name())
    with read_lake(lake) as connection:
        assert connection.execute("select name from ops.leases").fetchall() == [("kept",)]
        assert connection.execute("select cpu_seconds from ops.runs").fetchall() == []


def test_a_lake_of_an_earlier_schema_gets_a_row_of_its_own(lake: Lake) -> None:
    execute(lake, "update ops.releases set schema_version = 0, release = '0.0.9'")
    mark_release(lake, Release(0, 0, "0.0.9"))
    assert prepare_lake(lake) == ()
    with read_lake(lake) as connection:
        rows = connection.execute("select schema_version, release from ops.releases order by 1").fetchall()
    assert rows == [(0, "0.0.9"), (SCHEMA_VERSION, read_own_name())]


def test_what_an_earlier_lake_lacks_is_no_stack_trace(lake: Lake) -> None:
    execute(lake, "drop table ops.releases", "drop table ops.alerts", "alter table ops.runs drop column outcome")
    done = run_command("status", environment={"SCORELAKE_HOME": str(lake.home)})
    assert done.returncode == 4
    assert "the lake is at an earlier release" in done.stderr
    assert "`scorelake apply`" in done.stderr


WRITING = (
    ["apply"],
    ["materialize"],
    ["maintain"],
    ["erase", "--comment", "x", "--yes"],
    ["train", "spam"],
    ["publish"],
)


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_a_lake_of_a_later_release_is_not_written(
    lake: Lake, command: list[str], prefect_environment: dict[str, str]
) -> None:
    come_from_the_future(lake, readable_since=SCHEMA_VERSION)
    before = read_files(lake.home / "lake")
    done = run_command(*command, environment={**prefect_environment, "SCORELAKE_HOME": str(lake.home)})
    assert done.returncode == 4, done.stderr
    assert f"scorelake 9.9.0 has brought the lake to schema {FUTURE}" in done.stderr
    assert "Install scorelake 9.9.0 or later; nothing was changed" in done.stderr
    assert read_files(lake.home / "lake") == before


def test_it_is_read_as_long_as_its_columns_mean_the_same(lake: Lake) -> None:
    come_from_the_future(lake, readable_since=SCHEMA_VERSION)
    assert run_command("status", environment={"SCORELAKE_HOME": str(lake.home)}).returncode == 0


def test_it_is_not_read_wrongly_but_queried_as_it_is(lake: Lake) -> None:
    come_from_the_future(lake)
    environment = {"SCORELAKE_HOME": str(lake.home)}
    refused = run_command("status", environment=environment)
    assert refused.returncode == 4
    assert "must not read it any more" in refused.stderr
    asked = run_command("sql", "select count(*) as n from ops.releases", "--format", "csv", environment=environment)
    assert asked.stdout.split() == ["n", "1"]


def test_every_release_finds_the_mark_in_the_same_words(lake: Lake) -> None:
    execute(
        lake,
        "comment on table ops.releases is "
        "'Whatever. Now at schema 12, read by releases since schema 11, by scorelake 1.4.0rc1.'",
    )
    with pytest.raises(LaterRelease, match=r"scorelake 1\.4\.0rc1 has brought the lake to schema 12"):
        open_to_read(lake)
    assert Release(12, 11, "1.4.0rc1").mark == (
        "Now at schema 12, read by releases since schema 11, by scorelake 1.4.0rc1."
    )


def test_a_lost_data_file_does_not_hide_what_the_lake_is_at(lake: Lake) -> None:
    for file in (Path(lake.storage.data) / "ops" / "releases").rglob("*.parquet"):
        file.unlink()
    assert read_newest(lake) == Release(SCHEMA_VERSION, 1, read_own_name())


def test_a_writer_that_waited_while_the_lake_was_migrated_is_refused_and_leaves_no_name(lake: Lake) -> None:
    come_from_the_future(lake)
    with pytest.raises(LaterRelease, match="must not write to it"), write_lake(lake, purpose="test"):
        pass
    assert not lake.catalog_file.with_name("writer.holder.json").exists()


def open_to_read(lake: Lake) -> None:
    with read_lake(lake):
        pass


def open_to_write(lake: Lake) -> None:
    with write_lake(lake, purpose="test"):
        pass


@pytest.mark.parametrize("open_", [open_to_read, open_to_write])
def test_a_catalog_of_another_ducklake_is_told_in_words(lake: Lake, open_: Callable[[Lake], None]) -> None:
    take_newer_format(lake)
    before = read_files(lake.home)
    with pytest.raises(
        Unavailable, match=r"the lake's catalog is in a format .*99\.0.*Install the release that wrote it"
    ):
        open_(lake)
    assert read_files(lake.home) == before
