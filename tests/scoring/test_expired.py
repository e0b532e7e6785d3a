"""A comment whose text expired before it was scored gets no score, and is counted."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import Unavailable
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.sources.retention import expire_texts
from flows.owed import build_report
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, ScoreReceipt, score_owed
from tests.feature_repo.raw_rows import add_batch

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


@pytest.fixture
def owing(trained_home: Path, tmp_path: Path) -> Lake:
    """A lake that owes two new texts, of which one is old enough to expire, and all of the sample."""
    lake = Lake(Path(shutil.copytree(trained_home, tmp_path / "home")))
    comments = [
        {"comment_id": "old", "text": "what a lovely song", "published_at": NOW - timedelta(days=90)},
        {"comment_id": "new", "text": "check out my channel", "published_at": NOW - timedelta(days=1)},
    ]
    add_batch(lake, comments=comments)
    materialize_features(lake, run_id="materialize-new", now=NOW)
    return lake


def score(lake: Lake, run_id: str) -> ScoreReceipt:
    options = ScoreOptions(1_000, LocalEngine(1))
    return score_owed(lake, ScoreRequest("spam"), run_id=run_id, now=NOW, options=options)


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def test_an_expired_text_is_skipped_and_counted_and_not_owed_again(owing: Lake) -> None:
    expire_texts(owing, run_id="expiry", now=NOW, days=30, sources=("test",))
    receipt = score(owing, "score-spam-1")
    assert (receipt.rows_expired, receipt.rows_scored) == (1, receipt.rows_owed - 1)
    assert build_report(receipt).facts["rows expired before"] == 1
    scored = "select comment_id from scores.{} where comment_id in ('old', 'new')"
    assert read(owing, scored.format("spam")) == read(owing, scored.format("spam_current")) == [("new",)]
    assert read(owing, "select details->>'rows_expired' from ops.runs where run_id = 'score-spam-1'") == [("1",)]
    assert score(owing, "score-spam-2").rows_owed == 0


def test_a_run_of_expired_texts_alone_ends_well(owing: Lake) -> None:
    score(owing, "score-spam-1")
    add_batch(owing, comments=[{"comment_id": "late", "text": "bye", "published_at": NOW - timedelta(days=90)}])
    materialize_features(owing, run_id="materialize-late", now=NOW)
    expire_texts(owing, run_id="expiry", now=NOW, days=30, sources=("test",))
    receipt = score(owing, "score-spam-2")
    assert (receipt.rows_owed, receipt.rows_scored, receipt.rows_expired) == (1, 0, 1)
    assert score(owing, "score-spam-3").rows_owed == 0
    assert read(owing, "select text_id = 't-what a lovely song' from scores.spam where comment_id = 'old'") == [(True,)]


def test_partitions_of_an_interrupted_run_remember_what_had_expired(
    owing: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire_texts(owing, run_id="expiry", now=NOW, days=30, sources=("test",))
    with monkeypatch.context() as broken:
        broken.setattr("scoring.score.publish_scores", _fail)
        with pytest.raises(Unavailable, match="the power went out"):
            score(owing, "score-spam-1")
    receipt = score(owing, "score-spam-2")
    assert (receipt.is_resumed, receipt.rows_expired, receipt.rows_scored) == (True, 1, receipt.rows_owed - 1)


def _fail(*_: object, **__: object) -> None:
    raise Unavailable("the power went out")


def test_a_text_that_is_there_without_tokens_is_not_taken_for_expired(owing: Lake) -> None:
    with write_lake(owing, purpose="test") as connection:
        connection.execute("update features.comment_features set token_ids_v1 = null where comment_id = 'old'")
    with pytest.raises(Unavailable, match=r"1 of \d+ owed comments have no token_ids_v1, though their text is there"):
        score(owing, "score-spam-1")
    assert read(owing, "select count(*) from scores.spam") == [(0,)]
