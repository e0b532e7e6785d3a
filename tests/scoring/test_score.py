"""Exactly once: scored, scored again, killed and resumed, started twice, edited, late."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from feature_repo.errors import Unavailable
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_data_version, read_watermark
from scoring.engine import LocalEngine
from scoring.lease import take_lease
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, ScoreReceipt, score_owed

if TYPE_CHECKING:
    import duckdb

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
INLINE = ScoreOptions(1_000, LocalEngine(1))

pytestmark = pytest.mark.path


@pytest.fixture
def trained(trained_home: Path, tmp_path: Path) -> Lake:
    shutil.copytree(trained_home, tmp_path / "home")
    return Lake(tmp_path / "home")


def read_counts(lake: Lake, model: str = "spam") -> tuple[int, int, int, int]:
    """Texts in the lake, scores in the history, distinct texts scored, comments in force."""
    with read_lake(lake) as connection:
        row = connection.execute(
            "select (select count(*) from raw.comments), count(*), count(distinct (comment_id, text_id)), "
            f"(select count(*) from scores.{model}_current) from scores.{model}"
        ).fetchone()
    assert row is not None
    return row


def count_comments(lake: Lake) -> int:
    with read_lake(lake) as connection:
        row = connection.execute("select count(distinct comment_id) from raw.comments").fetchone()
    assert row is not None
    return int(row[0])


def score(lake: Lake, run_id: str) -> ScoreReceipt:
    return score_owed(lake, ScoreRequest("spam"), run_id=run_id, now=NOW, options=INLINE)


def test_every_owed_text_is_scored_once_and_the_second_run_owes_nothing(trained: Lake) -> None:
    told: list[tuple[int, int]] = []
    options = replace(INLINE, on_progress=lambda done, total: told.append((done, total)))
    receipt = score_owed(trained, ScoreRequest("spam"), run_id="score-spam-1", now=NOW, options=options)
    texts, scores, distinct, in_force = read_counts(trained)
    assert texts == scores == distinct == receipt.rows_owed == receipt.rows_scored
    assert in_force == count_comments(trained)
    assert told[-1] == (texts, texts)
    assert len(told) > 1
    again = score(trained, "score-spam-2")
    assert (again.rows_owed, again.run_id) == (0, None)
    assert list(trained.staging.glob("*")) == []


def test_lineage_and_probabilities_stand_in_every_row(trained: Lake) -> None:
    score(trained, "score-spam-1")
    with read_lake(trained) as connection:
        rows = connection.execute(
            "select count(*) filter (abs(p_ham + p_spam - 1) > 1e-9), "
            "count(*) filter (confidence <> greatest(p_ham, p_spam)), "
            "count(*) filter (label <> if(p_spam > p_ham, 'spam', 'ham')), list(distinct model_version), "
            "list(distinct feature_service), list(distinct run_id), list(distinct data_version), "
            "list(distinct scored_at) "
            "from scores.spam"
        ).fetchone()
        data_version = read_data_version(connection)
    assert rows == (0, 0, 0, ["1"], ["spam_v1"], ["score-spam-1"], [data_version], [NOW])


def test_partitions_and_processes_do_not_change_a_score(trained: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    shutil.copytree(trained.home, other.home)
    for lake, options in ((trained, ScoreOptions(100_000, LocalEngine(1))), (other, ScoreOptions(700, LocalEngine(2)))):
        score_owed(lake, ScoreRequest("spam"), run_id="score-spam-1", now=NOW, options=options)
    digests = []
    for lake in (trained, other):
        with read_lake(lake) as connection:
            rows = connection.execute("select comment_id, text_id, p_spam from scores.spam order by all").fetchall()
        digests.append(rows)
    assert digests[0] == digests[1]


def test_a_run_killed_between_partitions_is_taken_up_and_finished(trained: Lake) -> None:
    program = (
        "import sys; from datetime import datetime; from pathlib import Path;"
        "from feature_repo.lake import Lake; from scoring.engine import LocalEngine;"
        "from scoring.owed import ScoreRequest; from scoring.score import ScoreOptions, score_owed;"
        "score_owed(Lake(Path(sys.argv[1])), ScoreRequest('spam'), run_id='score-spam-killed', "
        "now=datetime.fromisoformat(sys.argv[2]), options=ScoreOptions(100, LocalEngine(1)))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(trained.home), NOW.isoformat()], cwd=ROOT)
    staging = trained.staging / "score-spam-killed"
    deadline = time.monotonic() + 120
    while len(list(staging.glob("0*.json"))) < 2:
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = [file.stem for file in staging.glob("0*.json")]
    finished = {file.name: file.stat().st_mtime_ns for stem in done for file in staging.glob(f"{stem}-*.parquet")}
    assert read_counts(trained)[1:] == (0, 0, 0)

    receipt = score(trained, "score-spam-next")
    assert (receipt.run_id, receipt.is_resumed) == ("score-spam-killed", True)
    published = {
        file.name: file.stat().st_mtime_ns for file in Path(trained.storage.data).rglob("score-spam-killed/*.parquet")
    }
    assert {name: published[name] for name in finished} == finished, "a finished partition was computed again"
    texts, scores, distinct, _ = read_counts(trained)
    assert texts == scores == distinct
    assert list(trained.staging.glob("*")) == []


def test_a_second_start_leaves_and_names_the_first(trained: Lake) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with write_lake(trained, purpose="test") as connection:
            run_transaction(connection, lambda c: take_lease(c, "spam/production", run_id="first", now=NOW))
            connection.execute("update ops.leases set process_id = ?, process_started_at = null", [sleeper.pid])
        with pytest.raises(
            Unavailable, match=rf"spam/production is being worked on by run first, process {sleeper.pid}"
        ):
            score(trained, "score-spam-second")
    finally:
        sleeper.terminate()
        sleeper.wait()
    assert read_counts(trained)[1] == 0
    assert score(trained, "score-spam-third").rows_scored == read_counts(trained)[0]


def add_text(lake: Lake, comment_id: str, text: str, *, observed_at: datetime) -> None:
    """Append a batch of one text, as an ingest would, and materialize it."""

    def work(connection: "duckdb.DuckDBPyConnection") -> None:
        number = read_data_version(connection) + 1
        connection.execute(
            "insert into raw.comments values (?, md5(?), null, null, null, null, ?, ?, ?, false, 'test', ?, ?)",
            [comment_id, text, text, observed_at, observed_at, f"b{number}", number],
        )
        append_run(connection, Run(f"b{number}", "ingest", NOW, NOW, data_version=number))

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, work)
    materialize_features(lake, run_id=f"materialize-{comment_id}-{observed_at:%d%H}", now=NOW)


def test_late_and_edited_comments_are_scored_by_the_next_run_only(trained: Lake) -> None:
    score(trained, "score-spam-1")
    add_text(trained, "new", "check out my channel http://spam.example", observed_at=NOW)
    add_text(trained, "late", "what a lovely song", observed_at=NOW - timedelta(days=20))
    add_text(trained, "new", "what a lovely song, edited", observed_at=NOW + timedelta(hours=1))
    assert score(trained, "score-spam-2").rows_scored == 3
    with read_lake(trained) as connection:
        current = connection.execute(
            "select comment_id, text_id = md5('what a lovely song, edited') from scores.spam_current "
            "where comment_id in ('new', 'late') order by 1"
        ).fetchall()
        watermark, version = read_watermark(connection, "spam"), read_data_version(connection)
    assert current == [("late", False), ("new", True)]
    assert watermark == version
    assert score(trained, "score-spam-3").rows_owed == 0


def test_a_model_without_a_champion_says_how_to_get_one(trained: Lake) -> None:
    with write_lake(trained, purpose="test") as connection:
        connection.execute("delete from ops.promotions where model = 'spam'")
    with pytest.raises(Unavailable, match="spam has no champion yet; run `scorelake train spam`"):
        score(trained, "score-spam-1")
