"""Taking a batch back."""

import datetime as dt
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_repo.errors import BadData
from feature_repo.features.materialize import materialize_features, rebuild_features
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import SourceMapping, read_mapping
from feature_repo.sources.quarantine import list_quarantine, replay_batch
from feature_repo.sources.revert import RevertReceipt, revert_batch
from tests.feature_repo.feature_rows import read_features
from tests.feature_repo.raw_rows import START, add_batch

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
TABLES = ("comments", "comment_counts", "videos", "channels", "labels", "quarantine")
COMMENTS = """comment_id,video_id,channel_id,text,like_count,label,task
c1,v1,,one,1,ham,spam
c2,,ch2,two,2,,
c3,v9,,three,3,,
c4,,ch4,,4,,
"""


def _ingest(lake: Lake, content: str, run_id: str, kind: str = "comments") -> IngestReceipt:
    path = lake.home / "rows.csv"
    path.write_text(content)
    request = IngestRequest(kind, (path,), read_mapping(), "test", run_id, NOW, b"key", bad_row_share_limit=0.5)
    return ingest_files(lake, request)


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def _count_rows(lake: Lake) -> dict[str, int]:
    return {table: _query(lake, f"select count(*) from raw.{table}")[0][0] for table in TABLES}


def test_a_batch_is_gone_as_if_it_had_never_been(lake: Lake) -> None:
    _ingest(lake, "video_id,channel_id\nv1,ch1\n", "videos", "videos")
    _ingest(lake, "comment_id,text\nc0,zero\n", "before")
    before = _count_rows(lake)
    _ingest(lake, COMMENTS, "batch")
    materialize_features(lake, run_id="features", now=NOW)
    receipt = revert_batch(lake, "batch", run_id="revert", now=NOW)
    assert _count_rows(lake) == before
    assert receipt == RevertReceipt(
        batch_id="batch",
        rows_deleted={
            "features.comment_features": 3,
            "features.channel_statistics": 0,
            "features.video_statistics": 0,
            "raw.comments": 3,
            "raw.comment_counts": 3,
            "raw.videos": 0,
            "raw.channels": 0,
            "raw.labels": 1,
            "raw.sightings": 0,
            "raw.quarantine": 1,
        },
        channel_ids=("ch1", "ch2"),
        comment_ids=(),
        data_version=4,
    )
    assert _query(lake, "select comment_id from features.comment_features") == [("c0",)]
    ledger = "select kind, outcome, rows_out, data_version from ops.runs where run_id = 'revert'"
    assert _query(lake, ledger) == [("revert", "done", 11, 4)]


def test_what_was_reverted_can_be_ingested_again_under_a_new_number(lake: Lake) -> None:
    _ingest(lake, COMMENTS, "first")
    revert_batch(lake, "first", run_id="revert", now=NOW)
    receipt = _ingest(lake, COMMENTS, "second")
    assert (receipt.rows_accepted, receipt.rows_quarantined_total, receipt.data_version) == (3, 1, 3)
    assert [row.batch_id for row in list_quarantine(lake)] == ["second"]


def test_videos_name_the_channels_whose_comments_they_place(lake: Lake) -> None:
    _ingest(lake, "video_id,channel_id\nv1,ch1\nv2,ch2\n", "videos", "videos")
    _ingest(lake, "comment_id,video_id,channel_id,text\nc1,v1,told,one\n", "comments")
    assert revert_batch(lake, "videos", run_id="r1", now=NOW).channel_ids == ("ch1", "told")


def test_features_are_those_of_a_lake_that_never_had_the_batch(seed_home: Path, tmp_path: Path) -> None:
    def reply(comment_id: str, hours: float, **overrides: Any) -> dict[str, Any]:
        told = {"comment_id": comment_id, "parent_id": "top", "video_id": "v1", "author_id": "ann"}
        return told | {"published_at": START + timedelta(hours=hours)} | overrides

    def count(comment_id: str, hours: float, likes: int) -> dict[str, Any]:
        return {"comment_id": comment_id, "observed_at": START + timedelta(hours=hours), "like_count": likes}

    def label(comment_id: str, says: str) -> dict[str, Any]:
        return {"comment_id": comment_id, "task": "sentiment", "label": says, "labelled_at": START}

    first = {"comments": [reply("a", 0), reply("b", 30)], "labels": [label("a", "positive")]}
    bad = {
        "comments": [reply("x", 20), reply("a", 0, text="edited", observed_at=START + timedelta(hours=9))],
        "counts": [count("b", 30, 9)],
        "labels": [label("b", "negative")],
        "videos": [{"video_id": "v1", "channel_id": "moved", "observed_at": START, "view_count": 1}],
        "channels": [{"channel_id": "c1", "observed_at": START, "subscriber_count": 1}],
    }
    last = {"comments": [reply("c", 40)], "counts": [count("a", 35, 4)]}
    lakes = []
    for name, batches in {"reverted": (first, bad, last), "spared": (first, {}, last)}.items():
        shutil.copytree(seed_home, tmp_path / name)
        lakes.append(Lake(tmp_path / name))
        for number, batch in enumerate(batches):
            add_batch(lakes[-1], **batch)
            materialize_features(lakes[-1], run_id=f"m{number}", now=NOW)

    def rebuild(connection: duckdb.DuckDBPyConnection, receipt: RevertReceipt) -> None:
        rebuild_features(connection, channel_ids=receipt.channel_ids, comment_ids=receipt.comment_ids)

    reverted, spared = lakes
    assert read_features(reverted) != read_features(spared)
    revert_batch(reverted, "b2", run_id="revert", now=NOW, within=rebuild)
    assert read_features(reverted) == read_features(spared)


def test_what_the_caller_rebuilds_is_committed_together_or_not_at_all(lake: Lake) -> None:
    channels = "select distinct channel_id from features.channel_features"
    _ingest(lake, "comment_id,channel_id,text,published_at\nc1,ch1,one,2024-03-01T10:00:00Z\n", "batch")
    materialize_features(lake, run_id="features", now=NOW)

    def rebuild(connection: duckdb.DuckDBPyConnection, receipt: RevertReceipt) -> None:
        assert connection.execute("select count(*) from raw.comments").fetchall() == [(0,)]
        rebuild_features(connection, channel_ids=receipt.channel_ids, comment_ids=receipt.comment_ids)

    def fail(connection: duckdb.DuckDBPyConnection, receipt: RevertReceipt) -> None:
        rebuild(connection, receipt)
        raise BadData("no channel features today")

    with pytest.raises(BadData, match="no channel features today"):
        revert_batch(lake, "batch", run_id="revert", now=NOW, within=fail)
    assert _count_rows(lake)["comments"] == 1
    assert _query(lake, channels) == [("ch1",)]
    revert_batch(lake, "batch", run_id="revert", now=NOW, within=rebuild)
    assert _query(lake, channels) == []


def test_a_reverted_replay_lets_its_rows_wait_again(lake: Lake) -> None:
    _ingest(lake, "comment_id,text,published_at\nc1,one,2024-03-01\nc2,two,\n", "batch")
    zoned = SourceMapping.model_validate(
        {
            "comments": {
                "comment_id": "comment_id",
                "text": "text",
                "published_at": {"column": "published_at", "zone": "UTC"},
            }
        }
    )
    replay_batch(lake, "batch", run_id="replay", now=NOW, author_key=b"key", mapping=zoned)
    assert [row.replayed_batch_id for row in list_quarantine(lake)] == ["replay"]
    revert_batch(lake, "replay", run_id="revert", now=NOW)
    assert [row.replayed_batch_id for row in list_quarantine(lake)] == [None]
    assert _query(lake, "select comment_id from raw.comments") == [("c2",)]


def test_a_batch_is_reverted_once_and_only_if_there_is_one(lake: Lake) -> None:
    _ingest(lake, COMMENTS, "batch")
    revert_batch(lake, "batch", run_id="revert", now=NOW)
    with pytest.raises(BadData, match="the batch batch has been reverted already"):
        revert_batch(lake, "batch", run_id="again", now=NOW)
    with pytest.raises(BadData, match="no batch nonsense; `scorelake status` lists the batches"):
        revert_batch(lake, "nonsense", run_id="again", now=NOW)
    with pytest.raises(BadData, match="no batch revert"):
        revert_batch(lake, "revert", run_id="again", now=NOW)
