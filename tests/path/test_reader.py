"""A reader in another process sees whole runs only, and no error, while scores are published."""

import multiprocessing
import shutil
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from feature_repo.lake import Lake, read_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

pytestmark = pytest.mark.path


def read_until(home: Path, ready: Event, done: Event, found: "Queue[list[tuple[int, int]]]") -> None:
    """Count rows and runs in a loop, each time on a connection of its own, as analysts do."""
    seen = []
    is_last = False
    while not is_last:
        is_last = done.is_set()
        with read_lake(Lake(home)) as connection:
            row = connection.execute("select count(*), count(distinct run_id) from scores.sentiment_current").fetchone()
        assert row is not None
        seen.append((int(row[0]), int(row[1])))
        ready.set()
    found.put(seen)


def test_a_reader_never_errs_and_never_sees_half_a_run(trained_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained_home, home)
    lake = Lake(home)
    context = multiprocessing.get_context("spawn")
    ready, done, found = context.Event(), context.Event(), context.Queue()
    reader = context.Process(target=read_until, args=(home, ready, done, found))
    reader.start()
    assert ready.wait(60), "the reader did not begin before the run"
    try:
        receipt = score_owed(
            lake,
            ScoreRequest("sentiment"),
            run_id="score-sentiment-watched",
            now=datetime.now(UTC),
            options=ScoreOptions(300, LocalEngine(1)),
        )
    finally:
        done.set()
    seen = found.get(timeout=60)
    reader.join(60)
    with read_lake(lake) as connection:
        comments = connection.execute("select count(distinct comment_id) from raw.comments").fetchone()
    assert receipt.rows_scored > 0
    assert comments is not None
    assert reader.exitcode == 0
    assert {count for count, _ in seen} <= {0, comments[0]}
    assert seen[0] == (0, 0)
    assert seen[-1] == (comments[0], 1)
    assert len(seen) > 5
