"""What counts or copies erased scores is made anew, and nothing else."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from scoring.erasure import count_anew, drop_staged, list_published, publish_anew
from scoring.owed import ScoreRequest
from scoring.plan import Partition, ScorePlan, Scorer
from scoring.published import locate_published, publish_file
from scoring.staging import save_plan
from tests.scoring.score_rows import Score, append_scores

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def stage(lake: Lake, run_id: str) -> Path:
    """What a killed run left."""
    request, partitions = ScoreRequest("spam"), (Partition(0, 0, NOW, NOW, 1, 0),)
    plan = ScorePlan(
        run_id=run_id,
        request=request,
        watermark=0,
        data_version=1,
        rows=1,
        batches_ahead=0,
        started_at=NOW,
        scorers=(Scorer("1", "", "", "", ""),),
        partitions=partitions,
    )
    save_plan(lake, plan)
    return lake.staging / run_id


def read_volumes(lake: Lake) -> list[tuple[str, int]]:
    with read_lake(lake) as connection:
        sql = "select distinct video_id, comment_count from scores.video_summary where model = 'sentiment' order by 1"
        return connection.execute(sql).fetchall()


def test_summaries_are_counted_without_what_was_erased(lake: Lake) -> None:
    scores = [Score("a", "positive"), Score("b", "negative"), Score("c", "neutral", video_id="alone")]
    append_scores(lake, "sentiment", "run-1", scores)
    assert read_volumes(lake) == [("alone", 1), ("v", 2)]

    def erase(connection: duckdb.DuckDBPyConnection) -> None:
        for table in ("scores.sentiment", "scores.sentiment_current"):
            connection.execute(f"delete from {table} where comment_id in ('a', 'c')")
        count_anew(connection, {"scores.sentiment_current": 2})

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, erase)
    assert read_volumes(lake) == [("v", 1)]


def test_the_published_file_is_written_whole_and_none_before_it_stays(lake: Lake) -> None:
    append_scores(lake, "sentiment", "run-1", [Score("a", "positive"), Score("b", "negative")])
    for run_id in ("run-1", "run-2"):
        publish_file(lake, run_id=run_id)
    before = [path.name for path in list_published(lake)]
    assert before == ["scorelake-run-1.duckdb", "scorelake-run-2.duckdb", "scorelake.duckdb"]
    assert publish_anew(lake, run_id="erase-1") == 3
    assert [path.name for path in list_published(lake)] == ["scorelake-erase-1.duckdb", "scorelake.duckdb"]
    with duckdb.connect(locate_published(lake), read_only=True) as published:
        assert published.execute("select count(*) from scores.sentiment").fetchall() == [(2,)]


def test_what_was_never_published_is_not_published_now(lake: Lake) -> None:
    assert publish_anew(lake, run_id="erase-1") == 0
    assert list_published(lake) == []


def test_a_dead_run_whose_rows_were_erased_begins_anew(lake: Lake) -> None:
    touched, other = stage(lake, "score-spam-1"), stage(lake, "score-spam-2")
    ingest = lake.staging / "ingest-1"
    ingest.mkdir()
    changed = ["staging/score-spam-1/00000.parquet", "staging/ingest-1/rows-0000.parquet", "exports/a.csv"]
    assert drop_staged(lake, changed) == 1
    assert (touched.exists(), other.exists(), ingest.exists()) == (False, True, True)
    assert drop_staged(lake, changed) == 0
