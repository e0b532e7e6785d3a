"""Publication: as one or not at all, and the current rows by latest text, told by literal tables."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import read_watermark
from scoring.current import withdraw_current
from scoring.lease import take_lease
from scoring.owed import ScoreRequest
from scoring.plan import Partition, ScorePlan, Scorer
from scoring.publish import publish_scores
from scoring.staged import FEATURE_LOG, SCORES, PartitionReceipt
from scoring.staging import save_plan

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def add_text(lake: Lake, comment_id: str, text_id: str, *, observed_hour: int, ingest_seq: int = 1) -> None:
    observed_at = NOW + timedelta(hours=observed_hour)
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "insert into raw.comments values (?, ?, 'c', null, null, null, 'Hello', null, ?, false, 'test', 'b', ?)",
            [comment_id, text_id, observed_at, ingest_seq],
        )


def build_plan(run_id: str, *, watermark: int, data_version: int, version: str = "1") -> ScorePlan:
    return ScorePlan(
        run_id=run_id,
        request=ScoreRequest("spam"),
        watermark=watermark,
        data_version=data_version,
        rows=1,
        batches_ahead=0,
        started_at=NOW + timedelta(hours=data_version),
        scorers=(Scorer(version, "", "", "", ""),),
        partitions=(Partition(0, 0, NOW, NOW, 1, 0),),
    )


def stage_scores(lake: Lake, plan: ScorePlan, rows: list[tuple[str, str, float]]) -> PartitionReceipt:
    """Stage a file of scores: comment_id, text_id, probability of spam."""
    columns: dict[str, Any] = {
        "comment_id": [row[0] for row in rows],
        "text_id": [row[1] for row in rows],
        "channel_id": pa.array(["c"] * len(rows)),
        "video_id": pa.array([None] * len(rows), pa.string()),
        "published_at": pa.array([None] * len(rows), pa.timestamp("us", tz="UTC")),
        "label": ["spam" if row[2] > 0.5 else "ham" for row in rows],
        "confidence": [max(row[2], 1 - row[2]) for row in rows],
        "is_abstained": [False] * len(rows),
        "p_ham": [1 - row[2] for row in rows],
        "p_spam": [row[2] for row in rows],
        "model_version": [plan.scorers[0].version] * len(rows),
        "feature_service": ["spam_v1"] * len(rows),
        "data_version": [plan.data_version] * len(rows),
        "run_id": [plan.run_id] * len(rows),
        "scored_at": pa.array([plan.started_at] * len(rows), pa.timestamp("us", tz="UTC")),
    }
    files = {kind: lake.staging / plan.run_id / f"00000-{kind}.parquet" for kind in (SCORES, FEATURE_LOG)}
    save_plan(lake, plan)
    pq.write_table(pa.table(columns), files[SCORES])
    pq.write_table(build_log(plan, rows), files[FEATURE_LOG])
    paths = {kind: str(file) for kind, file in files.items()}
    return PartitionReceipt(0, paths, len(rows), 0, 0, {}, cpu_seconds=0.0, bytes_written=0, peak_memory_mib=0.0)


def build_log(plan: ScorePlan, rows: list[tuple[str, str, float]]) -> pa.Table:
    lineage = {"model": "spam", "model_version": "1", "feature_service": "spam_v1", "features": "{}"}
    columns: dict[str, Any] = {name: [value] * len(rows) for name, value in lineage.items()}
    columns |= {"comment_id": [row[0] for row in rows], "text_id": [row[1] for row in rows]}
    columns |= {"run_id": [plan.run_id] * len(rows), "data_version": [plan.data_version] * len(rows)}
    columns |= {name: pa.array([None] * len(rows), pa.string()) for name in ("channel_id", "video_id")}
    return pa.table(
        columns | {"event_timestamp": pa.array([plan.started_at] * len(rows), pa.timestamp("us", tz="UTC"))}
    )


def publish(lake: Lake, plan: ScorePlan, rows: list[tuple[str, str, float]]) -> None:
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda c: take_lease(c, plan.request.lease, run_id=plan.run_id, now=NOW))
    publish_scores(lake, plan, [stage_scores(lake, plan, rows)], ended_at=NOW, stages={})


def read_current(lake: Lake) -> list[tuple[str, str, float, str]]:
    with read_lake(lake) as connection:
        return connection.execute(
            "select comment_id, text_id, p_spam, run_id from scores.spam_current order by comment_id"
        ).fetchall()


def count_history(lake: Lake) -> int:
    with read_lake(lake) as connection:
        row = connection.execute("select count(*) from scores.spam").fetchone()
    assert row is not None
    return int(row[0])


def test_a_run_publishes_rows_watermark_and_current_and_gives_the_lease_back(lake: Lake) -> None:
    add_text(lake, "a", "t1", observed_hour=0)
    add_text(lake, "b", "t1", observed_hour=0)
    plan = build_plan("run-1", watermark=0, data_version=1)
    publish(lake, plan, [("a", "t1", 0.9), ("b", "t1", 0.1)])
    assert read_current(lake) == [("a", "t1", 0.9, "run-1"), ("b", "t1", 0.1, "run-1")]
    assert count_history(lake) == 2
    with read_lake(lake) as connection:
        assert read_watermark(connection, "spam") == 1
        assert connection.execute("select count(*) from ops.leases").fetchone() == (0,)
    assert not (lake.staging / plan.run_id).exists()


def test_the_latest_text_is_in_force_whatever_the_order_of_scoring(lake: Lake) -> None:
    add_text(lake, "a", "edited", observed_hour=5)
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "edited", 0.9)])
    add_text(lake, "a", "first", observed_hour=0)
    publish(lake, build_plan("run-2", watermark=1, data_version=2), [("a", "first", 0.1)])
    assert read_current(lake) == [("a", "edited", 0.9, "run-1")]
    assert count_history(lake) == 2


def test_a_run_of_new_comments_leaves_all_others_in_force(lake: Lake) -> None:
    add_text(lake, "a", "t1", observed_hour=0, ingest_seq=1)
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "t1", 0.9)])
    add_text(lake, "b", "t2", observed_hour=1, ingest_seq=2)
    publish(lake, build_plan("run-2", watermark=1, data_version=2), [("b", "t2", 0.2)])
    assert read_current(lake) == [("a", "t1", 0.9, "run-1"), ("b", "t2", 0.2, "run-2")]


def test_a_text_taken_back_while_it_was_scored_is_not_in_force(lake: Lake) -> None:
    add_text(lake, "a", "t1", observed_hour=0)
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "t1", 0.9), ("b", "gone", 0.8)])
    assert read_current(lake) == [("a", "t1", 0.9, "run-1")]
    assert count_history(lake) == 2


def test_of_one_text_the_newest_score_is_in_force(lake: Lake) -> None:
    add_text(lake, "a", "t1", observed_hour=0)
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "t1", 0.9)])
    publish(lake, build_plan("run-2", watermark=1, data_version=2, version="2"), [("a", "t1", 0.2)])
    assert read_current(lake) == [("a", "t1", 0.2, "run-2")]


def test_a_text_taken_back_gives_way_to_the_one_before(lake: Lake) -> None:
    add_text(lake, "a", "first", observed_hour=0)
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "first", 0.1)])
    add_text(lake, "a", "edited", observed_hour=5)
    add_text(lake, "b", "only", observed_hour=5)
    plan = build_plan("run-2", watermark=1, data_version=2)
    publish(lake, plan, [("a", "edited", 0.9), ("b", "only", 0.8)])

    def take_back(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("delete from raw.comments where text_id in ('edited', 'only')")
        withdraw_current(connection, "spam")

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, take_back)
    assert read_current(lake) == [("a", "first", 0.1, "run-1")]
    assert count_history(lake) == 3


@pytest.mark.parametrize("loss", ["watermark", "lease"])
def test_a_run_that_was_overtaken_publishes_nothing(lake: Lake, loss: str) -> None:
    add_text(lake, "a", "t1", observed_hour=0)
    plan = build_plan("slow", watermark=0, data_version=1)
    receipt = stage_scores(lake, plan, [("a", "t1", 0.9)])
    if loss == "watermark":
        publish(lake, build_plan("fast", watermark=0, data_version=1), [("a", "t1", 0.1)])
    with pytest.raises(Unavailable, match="run slow was overtaken: the watermark of spam/production is"):
        publish_scores(lake, plan, [receipt], ended_at=NOW, stages={})
    assert [row[3] for row in read_current(lake)] == (["fast"] if loss == "watermark" else [])


def test_files_of_a_run_killed_before_its_commit_are_cleared_and_not_read(lake: Lake) -> None:
    add_text(lake, "a", "t1", observed_hour=0)
    orphan = Path(lake.storage.data) / "scores" / "spam" / "scored_on=2026-03-01" / "killed" / "00000.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"half")
    lake.catalog.locate_lock("writer").with_suffix(".holder.json").write_text("{}")  # the name of one that was killed
    publish(lake, build_plan("run-1", watermark=0, data_version=1), [("a", "t1", 0.9)])
    assert not orphan.exists()
    assert len(list(Path(lake.storage.data, "scores", "spam").rglob("*.parquet"))) == 1
    assert count_history(lake) == 1


def test_a_failure_within_the_transaction_leaves_nothing(lake: Lake) -> None:
    plan = build_plan("run-1", watermark=0, data_version=1)
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda c: take_lease(c, plan.request.lease, run_id=plan.run_id, now=NOW))
        connection.execute("drop table scores.spam_current")
    receipt = stage_scores(lake, plan, [("a", "t1", 0.9)])
    with pytest.raises(duckdb.CatalogException, match="spam_current"):
        publish_scores(lake, plan, [receipt], ended_at=NOW, stages={})
    assert count_history(lake) == 0
    with write_lake(lake, purpose="whoever comes next"):
        assert list(Path(lake.storage.data, "scores").rglob("*.parquet")) == []
    with read_lake(lake) as connection:
        assert read_watermark(connection, "spam") == 0
