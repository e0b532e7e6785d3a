"""A batch from file to lake: what is read, refused, recorded and hidden."""

import datetime as dt
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import SourceMapping, read_mapping

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
KEY = b"a key of the operator's"
Row = Mapping[str, Any]


def _write(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _ingest(lake: Lake, *paths: Path, run_id: str, **request: Any) -> IngestReceipt:
    told: dict[str, Any] = {
        "kind": "comments",
        "mapping": read_mapping(),
        "source": "test",
        "now": NOW,
        "author_key": KEY,
    }
    return ingest_files(lake, IngestRequest(paths=paths, run_id=run_id, **told | request))


def _enter(lake: Lake, rows: Sequence[Row], *, run_id: str, **request: Any) -> IngestReceipt:
    return _ingest(lake, _write(lake.home / "rows.jsonl", rows), run_id=run_id, **request)


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def _comment(comment_id: str = "c1", text: str = "hello", **told: Any) -> Row:
    return {"comment_id": comment_id, "text": text} | told


def _at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 3, day, hour, tzinfo=dt.UTC)


def test_a_comment_becomes_a_row_with_its_counts_and_its_label(lake: Lake) -> None:
    told = _comment(
        channel_id="ch",
        video_id="v",
        parent_id="c0",
        author_id="Ann",
        published_at="2024-03-01T10:00:00+01:00",
        observed_at="2024-03-02T00:00:00Z",
        like_count=3,
        reply_count="0",
        label="ham",
        task="spam",
        labelled_at="2024-03-03T00:00:00Z",
        labeller="me",
        more="ignored",
    )
    receipt = _enter(lake, [told], run_id="r1")
    text_id = hashlib.sha256(b"hello").hexdigest()[:32]
    author_id = "hmac:" + hmac.new(KEY, b"Ann", "sha256").hexdigest()[:32]
    assert _query(lake, "from raw.comments") == [
        ("c1", text_id, "ch", "v", "c0", author_id, "hello", _at(1, 9), _at(2), False, "test", "r1", 1)
    ]
    assert _query(lake, "from raw.comment_counts") == [("c1", _at(2), False, 3, 0, "test", "r1", 1)]
    assert _query(lake, "from raw.labels") == [("c1", "spam", "ham", _at(3), "me", "test", "r1", 1)]
    assert receipt == IngestReceipt(
        batch_id="r1",
        kind="comments",
        source="test",
        rows_read=1,
        rows_accepted=1,
        rows_known=0,
        rows_quarantined={},
        rows_quarantined_total=0,
        rows_conflicting=0,
        labels_accepted=1,
        is_refused=False,
        data_version=1,
        columns_ignored=("more",),
        stage_seconds=receipt.stage_seconds,
    )
    assert list(receipt.stage_seconds) == ["read", "check", "write"]


def test_the_ledger_tells_the_whole_batch(lake: Lake) -> None:
    _enter(lake, [_comment(), _comment(), _comment("c2", "")], run_id="r1", bad_row_share_limit=0.5)
    columns = "kind, outcome, rows_owed, rows_out, rows_known, rows_quarantined, data_version, started_at"
    assert _query(lake, f"select {columns} from ops.runs") == [("ingest", "done", 3, 1, 1, 1, 1, NOW)]
    assert _query(lake, "select ended_at > started_at, json_keys(stage_seconds) from ops.runs") == [
        (True, ["read", "check", "write"])
    ]
    ((told,),) = _query(lake, "select details from ops.runs")
    details = json.loads(told)
    assert details["files"] == ["rows.jsonl"]
    assert details["reasons"] == {"text_missing": 1}
    assert SourceMapping.model_validate(details["mapping"]) == read_mapping()


def test_every_format_brings_the_same_rows(lake: Lake, tmp_path: Path) -> None:
    rows = [_comment("a", 'x,\n"y" 😃', like_count="1"), _comment("b", "z", like_count=None)]
    csv = tmp_path / "rows.csv"
    csv.write_text('comment_id,text,like_count\na,"x,\n""y"" 😃",1\nb,z,\n')
    table = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), table)
    receipts = [_ingest(lake, path, run_id=path.name) for path in (csv, table, _write(tmp_path / "rows.jsonl", rows))]
    assert [(receipt.rows_accepted, receipt.rows_known) for receipt in receipts] == [(2, 0), (0, 2), (0, 2)]
    assert _query(lake, "select comment_id, text from raw.comments order by 1") == [("a", 'x,\n"y" 😃'), ("b", "z")]
    assert _query(lake, "select comment_id, like_count from raw.comment_counts") == [("a", 1)]


def test_the_same_file_again_changes_nothing(lake: Lake) -> None:
    rows = [
        _comment("c1", like_count=1, label="ham", task="spam"),
        _comment("c2", published_at="2024-03-01T00:00:00Z", like_count=2),
        _comment("c3", observed_at="2024-03-01T00:00:00Z", like_count=3),
        _comment("c4", text=""),
    ]
    first = _enter(lake, rows, run_id="r1", bad_row_share_limit=0.5)
    tables = ("comments", "comment_counts", "labels", "quarantine")
    before = [_query(lake, f"from raw.{table} order by all") for table in tables]
    again = _enter(lake, rows, run_id="r2", bad_row_share_limit=0.5, now=NOW + dt.timedelta(hours=1))
    assert [_query(lake, f"from raw.{table} order by all") for table in tables] == before
    assert (first.rows_accepted, first.rows_known, first.rows_quarantined_total, first.data_version) == (3, 0, 1, 1)
    assert (again.rows_accepted, again.rows_known, again.rows_quarantined_total, again.data_version) == (0, 3, 1, 1)
    assert (again.labels_accepted, again.rows_conflicting) == (0, 0)


def test_the_next_new_row_gets_the_next_number(lake: Lake) -> None:
    versions = [_enter(lake, [_comment(name)], run_id=f"r{n}").data_version for n, name in enumerate("aabb")]
    assert versions == [1, 1, 2, 2]
    assert _query(lake, "select comment_id, ingest_seq from raw.comments order by 1") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(("bad", "comments", "outcome"), [(2, 8, ("done", 1)), (3, 0, ("refused", None))])
def test_a_batch_is_refused_above_the_limit(
    lake: Lake, bad: int, comments: int, outcome: tuple[str, int | None]
) -> None:
    rows = [_comment(f"c{n}", "" if n < bad else "text") for n in range(10)]
    receipt = _enter(lake, rows, run_id="r1", bad_row_share_limit=0.2)
    assert (receipt.is_refused, receipt.rows_quarantined_total) == (comments == 0, bad)
    assert _query(lake, "select count(*) from raw.comments") == [(comments,)]
    assert _query(lake, "select count(*) from raw.quarantine") == [(bad,)]
    assert _query(lake, "select outcome, data_version from ops.runs") == [outcome]


def test_no_rows_are_no_error(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("comment_id,text\n")
    receipt = _ingest(lake, path, run_id="r1")
    assert (receipt.rows_read, receipt.is_refused, receipt.data_version) == (0, False, 0)


def test_an_author_is_nowhere_in_clear(lake: Lake) -> None:
    hashed = "hmac:" + hmac.new(KEY, b"Ann Onymous", "sha256").hexdigest()[:32]
    rows = [
        _comment("c1", author_id=" Ann Onymous "),
        _comment("c2", author_id=hashed),
        _comment("c3", author_id=""),
        _comment("c4", "", author_id="Ann Onymous"),
        _comment("c5", "", authorDisplayName="Ann Onymous", more={"author": "Ann Onymous"}),
    ]
    path = _write(lake.home / "rows.jsonl", rows)
    path.write_text(path.read_text() + '{"comment_id": "c6", "author_id": "Ann Onymous"\n')
    _ingest(lake, path, run_id="r1", bad_row_share_limit=1)
    path.unlink()
    authors = _query(lake, "select author_id from raw.comments order by comment_id")
    assert authors == [(hashed,), (hashed,), (None,)]
    everything = str([_query(lake, f"from {table}") for table in ("raw.comments", "raw.quarantine", "ops.runs")])
    assert everything.count(hashed) == 4
    assert "Onymous" not in everything
    assert not any(b"Onymous" in file.read_bytes() for file in lake.home.rglob("*") if file.is_file())


def test_the_key_is_not_shown() -> None:
    request = IngestRequest("comments", (), read_mapping(), "s", "r", NOW, KEY)
    assert "operator" not in repr(request)


def test_an_id_made_of_an_author_is_made_of_the_hash(lake: Lake) -> None:
    told = {"comment_id": {"hash_of": ["who"]}, "author_id": "who", "text": "text"}
    _enter(lake, [{"who": "Ann", "text": "t"}], run_id="r1", mapping=SourceMapping.model_validate({"comments": told}))
    hashed = "hmac:" + hmac.new(KEY, b"Ann", "sha256").hexdigest()[:32]
    made = hashlib.sha256(f"{len(hashed)}:{hashed}".encode()).hexdigest()[:32]
    assert _query(lake, "select comment_id, author_id from raw.comments") == [(made, hashed)]


def test_progress_is_told_and_staging_is_gone(lake: Lake) -> None:
    path = _write(lake.home / "rows.jsonl", [_comment(f"c{n}") for n in range(10_000)])
    told: list[int] = []
    request = IngestRequest("comments", (path,), read_mapping(), "s", "r", NOW, KEY)
    ingest_files(lake, request, on_progress=told.append)
    assert told == [8_192, 10_000]
    assert list(lake.staging.iterdir()) == []


def test_staging_is_gone_after_an_error_too(lake: Lake, tmp_path: Path) -> None:
    _enter(lake, [_comment()], run_id="r1")
    with pytest.raises(BadData, match="the run r1 has been recorded already; a batch enters under an id of its own"):
        _enter(lake, [_comment("c2")], run_id="r1")
    assert list(lake.staging.iterdir()) == []
    assert _query(lake, "select count(*) from raw.comments") == [(1,)]


def test_the_lake_is_free_for_other_writers_while_files_are_read(lake: Lake) -> None:
    path = _write(lake.home / "rows.jsonl", [_comment()])
    staged: list[str] = []

    def look(_rows: int) -> None:
        with write_lake(lake, purpose="look"):
            staged.extend(file.name for file in lake.staging.rglob("*.parquet"))

    request = IngestRequest("comments", (path,), read_mapping(), "s", "r", NOW, KEY)
    assert ingest_files(lake, request, on_progress=look).rows_accepted == 1
    assert staged == ["rows-0000.parquet"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"kind": "likes"}, "expected one of comments, videos, channels, labels, found 'likes'"),
        ({"author_key": b""}, "expected a key to hash authors with, found none"),
        ({"now": NOW.replace(tzinfo=None)}, "expected the start of the run with its zone"),
    ],
)
def test_an_impossible_request_is_refused(lake: Lake, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        _enter(lake, [_comment()], run_id="r1", **request_)


def test_a_lacking_column_is_named_with_those_expected_and_found(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Comment,id\nhello,1\n")
    with pytest.raises(
        BadData, match=r"rows\.csv lacks 'comment_id', 'text'; expected 'comment_id', 'text', found 'Comment', 'id'"
    ):
        _ingest(lake, path, run_id="r1")
    with pytest.raises(BadData, match="lacks '', 'Likes', 'Sentiment', 'Video ID'; expected"):
        _ingest(lake, path, run_id="r1", mapping=read_mapping("youtube-statistics"))
    with pytest.raises(BadData, match=r"rows\.jsonl lacks 'comment_id'; expected"):
        _enter(lake, [{"id": "c1", "text": "t"}], run_id="r1")
    assert _query(lake, "select count(*) from ops.runs") == [(0,)]


@pytest.mark.skipif(
    "SCORELAKE_TEST_DATA" not in os.environ, reason="SCORELAKE_TEST_DATA names no folder with the real data"
)
class TestRealData:
    """Row counts of public files, counted apart with Python's csv module."""

    @pytest.fixture
    def data(self) -> Path:
        return Path(os.environ["SCORELAKE_TEST_DATA"])

    def test_youtube_statistics(self, lake: Lake, data: Path) -> None:
        mapping = read_mapping("youtube-statistics")
        videos = _ingest(lake, data / "youtube_sentiment/videos-stats.csv", run_id="v", kind="videos", mapping=mapping)
        assert (videos.rows_read, videos.rows_accepted, videos.rows_known, videos.rows_conflicting) == (
            1_881,
            1_869,
            12,
            12,
        )
        path = data / "youtube_sentiment/comments.csv"
        comments = _ingest(lake, path, run_id="c", mapping=mapping)
        assert (comments.rows_read, comments.rows_accepted, comments.labels_accepted) == (14_691, 14_691, 14_691)
        again = _ingest(lake, path, run_id="d", mapping=mapping)
        assert (again.rows_known, again.labels_accepted, again.data_version) == (14_691, 0, comments.data_version)
        counted = _query(lake, "select label, count(*) from raw.labels group by 1 order by 1")
        assert counted == [("negative", 1_870), ("neutral", 3_700), ("positive", 9_121)]
        undated = "select count(*) from raw.comments where observed_at = ? or not is_observed_at_imputed"
        with read_lake(lake) as connection:
            assert connection.execute(undated, [NOW]).fetchall() == [(0,)]

    def test_uci_youtube_spam(self, lake: Lake, data: Path) -> None:
        files = sorted((data / "youtube_spam").glob("*.csv"))
        receipt = _ingest(lake, *files, run_id="c", mapping=read_mapping("uci-youtube-spam"))
        assert (receipt.rows_read, receipt.rows_accepted, receipt.rows_known) == (1_586, 1_584, 2)
        undated = "select count(*), count(distinct video_id) from raw.comments where published_at is null"
        assert _query(lake, undated) == [(243, 1)]

    @pytest.mark.parametrize(("kind", "conflicting"), [("videos", 5), ("channels", 0)])
    def test_youtube_trending(self, lake: Lake, data: Path, kind: str, conflicting: int) -> None:
        path = data / "youtube_trending/USvideos.csv"
        receipt = _ingest(lake, path, run_id="c", kind=kind, mapping=read_mapping("youtube-trending"))
        assert (receipt.rows_read, receipt.rows_known + receipt.rows_accepted) == (7_992, 7_992)
        assert receipt.rows_conflicting == conflicting
        days = f"select count(distinct observed_at), min(observed_at)::date::varchar from raw.{kind}"
        assert _query(lake, days) == [(40, "2017-09-13")]
