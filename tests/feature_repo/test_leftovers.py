"""What dead runs left goes; what a run may still need stays."""

import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.lake import Lake
from feature_repo.leftovers import delete_leftovers, open_staging

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HORIZON = NOW - timedelta(days=7)


def leave(path: Path, *, days: float) -> None:
    """A file, in folders of its own, that was last written to so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"zebra")
    at = (NOW - timedelta(days=days)).timestamp()
    for one in (path, path.parent):
        os.utime(one, (at, at))


@pytest.mark.parametrize(
    ("days", "live_runs", "stays"),
    [
        (8, (), False),
        (8, ("score-spam-2",), False),
        (8, ("score-spam-1",), True),
        (400, ("score-spam-1",), True),  # however old
        (6, (), True),  # of a dead run that the next one takes up
    ],
)
def test_staging_goes_with_its_run_and_the_horizon(
    lake: Lake, *, days: float, live_runs: tuple[str, ...], stays: bool
) -> None:
    leave(lake.staging / "score-spam-1" / "00000.parquet", days=days)
    assert delete_leftovers(lake, before=HORIZON, live_runs=live_runs) == (not stays)
    assert (lake.staging / "score-spam-1" / "00000.parquet").exists() is stays


def test_a_folder_is_as_old_as_the_newest_in_it(lake: Lake) -> None:
    leave(lake.staging / "ingest-1" / "rows-0001.parquet", days=1)
    leave(lake.staging / "ingest-1" / "rows-0000.parquet", days=30)
    assert delete_leftovers(lake, before=HORIZON) == 0
    leave(lake.staging / "ingest-1" / "rows-0001.parquet", days=30)
    assert delete_leftovers(lake, before=HORIZON) == 1


def test_spilled_rows_of_dead_processes_go(lake: Lake) -> None:
    leave(lake.spill / "duckdb_temp_storage-0.tmp", days=8)
    leave(lake.spill / "duckdb_temp_storage-1.tmp", days=1)
    assert delete_leftovers(lake, before=HORIZON) == 1
    assert [path.name for path in lake.spill.iterdir()] == ["duckdb_temp_storage-1.tmp"]


def die_while_staging(home: Path) -> None:
    with open_staging(Lake(home), "dead") as folder:
        (folder / "rows.parquet").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_run_has_staged_goes_with_the_next_and_that_of_a_live_one_stays(lake: Lake) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_while_staging, args=(lake.home,))
    process.start()
    process.join(60)
    assert [entry.name for entry in lake.staging.iterdir()] == ["dead"]
    with open_staging(lake, "first"), open_staging(lake, "second"):
        assert sorted(entry.name for entry in lake.staging.iterdir()) == ["first", "second"]
    assert list(lake.staging.iterdir()) == list((lake.home / "staging.locks").iterdir()) == []
