"""Comments at which a model fails, and runs that would cost too much: refused or set aside, never guessed."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from feature_repo.errors import Refused
from feature_repo.lake import Lake, read_lake, write_lake
from flows.owed import build_report
from scoring.economics import Cost, check_budget, size_partitions
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest, read_owed
from scoring.predict import Model, score_rows
from scoring.score import ScoreOptions, describe_owed, score_owed
from training.model import MatrixSpec, build_matrix, build_pipeline

NOW = datetime(2026, 10, 1, tzinfo=UTC)
SPAM = ScoreRequest("spam")
OPTIONS = ScoreOptions(1_000, LocalEngine(1))


def build_model() -> Model:
    """A model of one number and one token, fitted."""
    spec = MatrixSpec(("tokens",), 8, ("count",))
    table = build_table([0.0, 1.0, 2.0, 3.0])
    pipeline = build_pipeline().fit(build_matrix(table, spec), [0, 0, 1, 1])
    return Model("7", pipeline, spec, ("ham", "spam"), "spam_v1", abstain_below=0.5)


def build_table(counts: list[float], tokens: dict[int, list[int]] | None = None) -> pa.Table:
    """Rows with a number each, and tokens that differ with the number."""
    given = [(tokens or {}).get(place, [int(min(count, 7))]) for place, count in enumerate(counts)]
    return pa.table({"count": pa.array(counts, pa.float64()), "tokens": pa.array(given, pa.list_(pa.uint32()))})


def test_a_row_at_which_the_model_fails_takes_no_other_with_it() -> None:
    model, counts = build_model(), [1.0, 2.0, float("inf"), 3.0, 0.0, 2.0]
    scored = score_rows(model, build_table(counts, tokens={4: [99]}))
    assert scored.features["count"].to_pylist() == [1.0, 2.0, 3.0, 2.0]
    assert scored.failed["count"].to_pylist() == [float("inf"), 0.0]
    assert "infinity" in scored.reasons[0]
    assert scored.reasons[1].startswith("BadData: token ids must be whole numbers from 0 to 7")
    alone = [score_rows(model, build_table([count])).probabilities[0].tolist() for count in (1.0, 2.0, 3.0, 2.0)]
    assert scored.probabilities.tolist() == alone


def test_no_rows_are_no_failure() -> None:
    scored = score_rows(build_model(), build_table([]))
    assert (scored.probabilities.shape, len(scored.features), scored.reasons) == ((0, 2), 0, ())


def test_a_model_that_fails_everywhere_is_stopped_before_it_has_tried_every_row() -> None:
    with pytest.raises(Refused, match="version 7 fails at more than 1000 comments"):
        score_rows(build_model(), build_table([float("inf")] * 3_000))


@pytest.fixture
def poisoned(trained_home: Path, tmp_path: Path) -> Lake:
    """A lake in which one comment has a feature that no model can use."""
    lake = Lake(Path(shutil.copytree(trained_home, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "update features.comment_features set mean_word_chars = 'infinity' "
            "where comment_id = (select min(comment_id) from raw.comments)"
        )
    return lake


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.path
def test_a_poisoned_comment_is_set_aside_with_its_reason_and_tried_again_by_a_backfill(poisoned: Lake) -> None:
    receipt = score_owed(poisoned, SPAM, run_id="score-spam-1", now=NOW, options=OPTIONS)
    assert (receipt.rows_unscored, receipt.rows_scored) == (1, receipt.rows_owed - 1)
    assert build_report(receipt).facts["rows at which the model failed"] == 1
    worst = "(select min(comment_id) from raw.comments)"
    [(comment_id, reason, run_id)] = read(poisoned, "select comment_id, reason, run_id from monitoring.unscored")
    assert (comment_id, run_id) == (read(poisoned, f"select {worst}")[0][0], "score-spam-1")
    assert "infinity" in reason
    assert read(poisoned, f"select count(*) from scores.spam_current where comment_id = {worst}") == [(0,)]
    assert read(poisoned, "select rows_quarantined from ops.runs where run_id = 'score-spam-1'") == [(1,)]
    with write_lake(poisoned, purpose="test") as connection:
        connection.execute(
            "update features.comment_features set mean_word_chars = 4 where mean_word_chars = 'infinity'"
        )
    assert read_owed(poisoned, SPAM).rows == 0
    again = score_owed(poisoned, ScoreRequest("spam", "backfill"), run_id="backfill-spam-1", now=NOW, options=OPTIONS)
    assert again.rows_scored == 1
    assert read(poisoned, f"select count(*) from scores.spam_current where comment_id = {worst}") == [(1,)]


@pytest.mark.path
def test_above_the_limit_the_run_is_refused_and_everything_is_still_owed(poisoned: Lake) -> None:
    owed = read_owed(poisoned, SPAM).rows
    with pytest.raises(Refused, match=rf"spam failed at 1 of {owed} comments, more than the share of 0.0 that"):
        score_owed(poisoned, SPAM, run_id="score-spam-1", now=NOW, options=replace(OPTIONS, unscored_share_limit=0.0))
    assert read(poisoned, "select count(*) from scores.spam") == [(0,)]
    assert read_owed(poisoned, SPAM).rows == owed
    assert list(poisoned.staging.glob("*")) == []
    assert read(poisoned, "select count(*) from ops.leases") == [(0,)]


@pytest.mark.path
def test_a_run_that_would_fill_the_disk_is_refused_before_it_begins(poisoned: Lake) -> None:
    huge = replace(OPTIONS, disk_reserve_mib=1 << 40)
    with pytest.raises(Refused, match=r"scoring would write about \d+ MiB and leave less than the 1,099,511,627,776"):
        score_owed(poisoned, SPAM, run_id="score-spam-1", now=NOW, options=huge)
    assert list(poisoned.staging.glob("*")) == []
    assert read(poisoned, "select count(*) from ops.leases") == [(0,)]


def test_partitions_shrink_with_the_memory_that_each_worker_has() -> None:
    sizes = [size_partitions(workers) for workers in (1, 100, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= 200_000
    assert sizes[-1] == 10_000


def test_a_budget_counts_what_is_staged_and_what_is_written_again(lake: Lake) -> None:
    check_budget(lake, Cost(seconds=1, bytes_written=0), reserve_mib=0)
    with pytest.raises(Refused, match="nothing was written"):
        check_budget(lake, Cost(seconds=1, bytes_written=1 << 60), reserve_mib=0)


@pytest.mark.path
def test_what_is_owed_is_foretold_from_what_the_last_runs_took(poisoned: Lake) -> None:
    before = describe_owed(poisoned, read_owed(poisoned, SPAM))
    assert before.cost
    assert before.cost.bytes_written == 200 * before.rows_owed
    score_owed(poisoned, SPAM, run_id="score-spam-1", now=NOW, options=OPTIONS)
    owed = replace(read_owed(poisoned, SPAM), rows=before.rows_owed)
    told = describe_owed(poisoned, owed).cost
    [(seconds, cpu, written)] = read(
        poisoned,
        "select stage_seconds->>'score', cpu_seconds, bytes_written from ops.runs where run_id = 'score-spam-1'",
    )
    assert told
    assert told.seconds == pytest.approx(float(seconds) * before.rows_owed / (before.rows_owed - 1), abs=0.01)
    assert told.bytes_written == pytest.approx(written, rel=0.01)
    assert cpu > 0
