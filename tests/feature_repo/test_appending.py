"""What the lake does not know yet is appended, and nothing twice: texts, counts, labels, observations."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
Row = Mapping[str, Any]


def _enter(lake: Lake, rows: Sequence[Row], *, run_id: str, **request: Any) -> IngestReceipt:
    path = lake.home / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told: dict[str, Any] = {"kind": "comments", "source": "test", "now": NOW, "author_key": b"key"}
    return ingest_files(lake, IngestRequest(paths=(path,), mapping=read_mapping(), run_id=run_id, **told | request))


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def _comment(comment_id: str = "c1", text: str = "hello", **told: Any) -> Row:
    return {"comment_id": comment_id, "text": text} | told


def _at(day: int) -> dt.datetime:
    return dt.datetime(2024, 3, day, tzinfo=dt.UTC)


def test_an_edit_is_a_row_of_its_own_and_a_text_told_twice_is_known(lake: Lake) -> None:
    rows = [
        _comment(text="new", observed_at="2024-03-02T00:00:00Z"),
        _comment(text="old", observed_at="2024-03-03T00:00:00Z"),
        _comment(text="old", observed_at="2024-03-01T00:00:00Z"),
    ]
    receipt = _enter(lake, rows, run_id="r1")
    assert (receipt.rows_accepted, receipt.rows_known) == (2, 1)
    seen = "select text, observed_at from raw.comments order by observed_at"
    assert _query(lake, seen) == [("old", _at(1)), ("new", _at(2))]


def test_the_instant_of_observation_is_told_or_imputed(lake: Lake) -> None:
    videos = [
        {
            "video_id": "dated",
            "channel_id": "ch",
            "published_at": "2024-03-02T00:00:00Z",
            "observed_at": "2024-03-09T00:00:00Z",
        },
        {"video_id": "undated", "channel_id": "ch", "observed_at": "2024-03-04T00:00:00Z"},
        {"video_id": "undated", "channel_id": "ch", "observed_at": "2024-03-03T00:00:00Z"},
    ]
    cases: dict[str, tuple[Row, dt.datetime, bool]] = {
        "told": ({"observed_at": "2024-03-05T00:00:00Z", "published_at": "2024-03-04T00:00:00Z"}, _at(5), False),
        "told as imputed": ({"observed_at": "2024-03-05T00:00:00Z", "is_observed_at_imputed": True}, _at(5), True),
        "published": ({"published_at": "2024-03-04T00:00:00Z", "is_observed_at_imputed": False}, _at(4), True),
        "video published": ({"video_id": "dated"}, _at(2), True),
        "video observed": ({"video_id": "undated"}, _at(3), True),
        "video unknown": ({"video_id": "unknown"}, NOW, True),
        "nothing": ({}, NOW, True),
    }
    _enter(lake, videos, run_id="r1", kind="videos")
    _enter(lake, [_comment(name, **told) for name, (told, _, _) in cases.items()], run_id="r2")
    found = _query(lake, "select comment_id, observed_at, is_observed_at_imputed from raw.comments order by 1")
    assert found == sorted((name, *expected) for name, (_, *expected) in cases.items())


def test_an_imputed_comment_stays_as_it_is_when_its_video_comes_later(lake: Lake) -> None:
    comment = _comment(video_id="v", like_count=7)
    _enter(lake, [comment], run_id="r1")
    _enter(
        lake,
        [{"video_id": "v", "channel_id": "ch", "published_at": "2024-03-02T00:00:00Z"}],
        run_id="r2",
        kind="videos",
    )
    receipt = _enter(lake, [comment], run_id="r3", now=NOW + dt.timedelta(days=1))
    assert (receipt.rows_known, receipt.data_version) == (1, 2)
    assert _query(lake, "select observed_at, like_count from raw.comment_counts") == [(NOW, 7)]


def test_counts_have_a_row_per_observed_change(lake: Lake) -> None:
    cases: dict[str, tuple[list[list[tuple[int, int | None]]], list[tuple[int, int]]]] = {
        "batch by batch": ([[(1, 5)], [(2, 5)], [(3, 6)]], [(1, 5), (3, 6)]),
        "all at once": ([[(1, 5), (2, 5), (3, 6), (4, 5)]], [(1, 5), (3, 6), (4, 5)]),
        "late": ([[(3, 6)], [(1, 5)], [(2, 6)]], [(1, 5), (2, 6), (3, 6)]),
        "around a known one": ([[(2, 5)], [(1, 5), (3, 5), (4, 7)]], [(1, 5), (2, 5), (4, 7)]),
        "none told": ([[(1, None)], [(2, 0)], [(3, 0)]], [(2, 0)]),
        "otherwise later": ([[(1, 5)], [(1, 9)]], [(1, 5)]),
        "otherwise at once": ([[(1, 5), (1, 9)]], [(1, 5)]),
    }
    receipts = []
    for number in range(3):
        rows = [
            _comment(name, observed_at=_at(day).isoformat(), like_count=likes)
            for name, (batches, _) in cases.items()
            for day, likes in (batches[number] if number < len(batches) else [])
        ]
        receipts.append(_enter(lake, rows, run_id=f"r{number}"))
    found = _query(lake, "select comment_id, day(observed_at), like_count from raw.comment_counts order by all")
    assert found == sorted((name, *row) for name, (_, stored) in cases.items() for row in stored)
    assert [receipt.rows_conflicting for receipt in receipts] == [1, 1, 0]


def test_imputed_counts_add_only_values_that_are_new(lake: Lake) -> None:
    for number, likes in enumerate([5, 5, 6, 5]):
        _enter(lake, [_comment(like_count=likes)], run_id=f"r{number}", now=NOW + dt.timedelta(hours=number))
    found = _query(
        lake, "select hour(observed_at), like_count, is_observed_at_imputed from raw.comment_counts order by 1"
    )
    assert found == [(12, 5, True), (14, 6, True)]


def test_counts_told_otherwise_for_the_same_instant_are_reported(lake: Lake) -> None:
    told = {"published_at": "2024-03-01T00:00:00Z"}
    _enter(lake, [_comment(like_count=5, **told)], run_id="r1")
    receipt = _enter(lake, [_comment(like_count=9, **told)], run_id="r2")
    assert (receipt.rows_known, receipt.rows_conflicting, receipt.data_version) == (1, 1, 1)
    assert _query(lake, "select like_count from raw.comment_counts") == [(5,)]


def _label(label: str, comment_id: str = "c1", **told: Any) -> Row:
    return {"comment_id": comment_id, "label": label} | told


def test_labels_are_known_by_their_instant_or_if_it_is_imputed_by_what_they_say(lake: Lake) -> None:
    told = {"labelled_at": "2026-11-20T12:00:00Z"}
    later = {"labelled_at": "2026-11-20T15:00:00Z"}
    cases: dict[str, tuple[list[list[tuple[str, Row]]], list[tuple[int, str]]]] = {
        "again": ([[("ham", {})], [("ham", {})]], [(0, "ham")]),
        "another": ([[("ham", {})], [("spam", {})]], [(0, "ham"), (1, "spam")]),
        "the first again": ([[("ham", {})], [("spam", {})], [("ham", {})]], [(0, "ham"), (1, "spam")]),
        "twice at once": ([[("ham", {}), ("ham", {})]], [(0, "ham")]),
        "two at once": ([[("ham", {}), ("spam", {})]], [(0, "ham")]),
        "known and another at once": ([[("ham", {})], [("ham", {}), ("spam", {})]], [(0, "ham"), (1, "spam")]),
        "imputed after told": ([[("ham", told)], [("ham", {})]], [(0, "ham")]),
        "told twice": ([[("ham", told)], [("ham", later)]], [(0, "ham"), (3, "ham")]),
        "two told for one instant": ([[("ham", told), ("spam", told)]], [(0, "ham")]),
    }
    receipts = []
    for number in range(3):
        rows = [
            _label(label, name, **instant)
            for name, (batches, _) in cases.items()
            for label, instant in (batches[number] if number < len(batches) else [])
        ]
        now = NOW + dt.timedelta(hours=number)
        receipts.append(_enter(lake, rows, run_id=f"r{number}", kind="labels", task="spam", now=now))
    found = _query(lake, "select comment_id, hour(labelled_at) - 12, label from raw.labels order by all")
    assert found == sorted((name, *row) for name, (_, stored) in cases.items() for row in stored)
    assert [receipt.rows_conflicting for receipt in receipts] == [2, 1, 0]
    assert [receipt.rows_read - receipt.rows_accepted for receipt in receipts] == [
        receipt.rows_known for receipt in receipts
    ]


def test_a_label_of_another_source_is_another_label(lake: Lake) -> None:
    for number, source in enumerate(("first", "second")):
        now = NOW + dt.timedelta(hours=number)
        _enter(lake, [_label("ham")], run_id=source, source=source, kind="labels", task="spam", now=now)
    assert _query(lake, "select source from raw.labels order by 1") == [("first",), ("second",)]


def test_a_comment_without_a_label_is_no_labelled_one(lake: Lake) -> None:
    rows = [
        _comment("c1", label=""),
        _comment("c2", label=None),
        _comment("c3", label=" "),
        _comment("c4", label="ham"),
    ]
    receipt = _enter(lake, rows, run_id="r1", task="spam")
    assert (receipt.rows_accepted, receipt.labels_accepted) == (4, 1)
    assert _query(lake, "select comment_id, task, labelled_at from raw.labels") == [("c4", "spam", NOW)]


def test_a_known_comment_may_bring_a_new_label(lake: Lake) -> None:
    _enter(lake, [_comment()], run_id="r1")
    receipt = _enter(lake, [_comment(label="ham", task="spam")], run_id="r2")
    assert (receipt.rows_accepted, receipt.rows_known, receipt.labels_accepted, receipt.data_version) == (0, 1, 1, 2)
    assert _query(lake, "select ingest_seq from raw.labels") == [(2,)]


def test_videos_are_known_by_their_instant_or_if_it_is_imputed_by_their_statistics(lake: Lake) -> None:
    first, second = {"observed_at": "2024-03-01T00:00:00Z"}, {"observed_at": "2024-03-02T00:00:00Z"}
    published = {"published_at": "2024-03-01T00:00:00Z"}
    cases: dict[str, tuple[list[list[tuple[Row, int]]], list[tuple[int, int]]]] = {
        "twice at once": ([[(first, 1), (first, 1)]], [(1, 1)]),
        "unchanged": ([[(first, 1)], [(second, 1)]], [(1, 1), (2, 1)]),
        "otherwise at once": ([[(first, 1), (first, 2)]], [(1, 1)]),
        "otherwise, published only": ([[(published, 1)], [(published, 2)]], [(1, 1)]),
        "no instant": ([[({}, 1)], [({}, 1)], [({}, 2)]], [(20, 1), (20, 2)]),
    }
    receipts = []
    for number in range(3):
        rows = [
            {"video_id": name, "channel_id": "ch", "like_count": likes, **instant}
            for name, (batches, _) in cases.items()
            for instant, likes in (batches[number] if number < len(batches) else [])
        ]
        now = NOW + dt.timedelta(hours=number)
        receipts.append(_enter(lake, rows, run_id=f"r{number}", kind="videos", now=now))
    found = _query(lake, "select video_id, day(observed_at), like_count from raw.videos order by all")
    assert found == sorted((name, *row) for name, (_, stored) in cases.items() for row in stored)
    assert [receipt.rows_conflicting for receipt in receipts] == [1, 1, 0]


def test_a_channel_is_observed_with_its_statistics(lake: Lake) -> None:
    told = {"channel_id": "ch", "title": "t", "observed_at": "2024-03-01T00:00:00Z", "subscriber_count": 5}
    _enter(lake, [told], run_id="r1", kind="channels")
    assert _query(lake, "from raw.channels") == [("ch", "t", _at(1), False, 5, None, None, "test", "r1", 1)]
