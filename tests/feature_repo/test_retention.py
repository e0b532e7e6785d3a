"""Texts expire with the retention of their source, and come back when it shows them again."""

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_repo.errors import BadData
from feature_repo.features.materialize import materialize_features, rebuild_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.sources.quarantine import list_quarantine, replay_batch
from feature_repo.sources.retention import ExpiryReceipt, expire_texts
from feature_repo.sources.revert import revert_batch

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEATURES = "select * exclude (token_ids_v1, prefix_ids_v1) from features.comment_features order by all"
TOKENS = "select comment_id, token_ids_v1 from features.comment_features order by all"


def see(
    lake: Lake,
    *rows: tuple[str, str, float | None],
    run_id: str,
    source: str = "youtube",
    published_at: str = "2026-01-01T00:00:00Z",
) -> IngestReceipt:
    """Ingest comments: id, text, and days ago that the source says to have seen it, or None if it does not say."""
    path = lake.home / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("comment_id", "text", "published_at", "observed_at", "channel_id"))
        for name, text, days in rows:
            seen = None if days is None else (NOW - timedelta(days=days)).isoformat()
            writer.writerow((name, text, published_at, seen, "ch"))
    request = IngestRequest("comments", (path,), read_mapping(), source, run_id, NOW, b"key", bad_row_share_limit=0.9)
    return ingest_files(lake, request)


def expire(
    lake: Lake, run_id: str = "expiry", *, now: datetime = NOW, sources: tuple[str, ...] = ("youtube",)
) -> ExpiryReceipt:
    return expire_texts(lake, run_id=run_id, now=now, days=30, sources=sources)


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_texts(lake: Lake) -> list[tuple[Any, ...]]:
    return query(lake, "select comment_id, text from raw.comments order by comment_id, observed_at")


def test_a_text_expires_when_its_source_has_not_shown_it_for_so_long(lake: Lake) -> None:
    see(
        lake,
        ("long ago", "gone", 90),
        ("just", "gone", 30),
        ("almost", "kept", 29.9),
        ("seen again", "kept", 60),
        ("seen by others", "gone", 60),
        ("seen by both", "kept", 60),
        ("edited", "gone", 60),
        ("twice in a batch", "kept", 60),
        ("twice in a batch", "kept", 5),
        run_id="b1",
    )
    see(lake, ("untold", "gone", None), run_id="b2")  # stands for its publication, which is long ago
    see(lake, ("archived", "kept", 90), run_id="b3", source="archive")
    see(lake, ("seen again", "kept", 10), ("edited", "edited", 10), run_id="b4")
    see(lake, ("seen by others", "gone", 10), ("seen by both", "kept", 5), run_id="b5", source="archive")
    see(lake, ("seen by both", "kept", 10), run_id="b6")
    receipt = expire(lake)
    assert read_texts(lake) == [
        ("almost", "kept"),
        ("archived", "kept"),
        ("edited", None),
        ("edited", "edited"),
        ("just", None),
        ("long ago", None),
        ("seen again", "kept"),
        ("seen by both", "kept"),
        ("seen by others", None),
        ("twice in a batch", "kept"),
        ("untold", None),
    ]
    assert (receipt.texts, receipt.before) == (5, NOW - timedelta(days=30))
    ledger = "select kind, outcome, rows_out, started_at, data_version from ops.runs where run_id = 'expiry'"
    assert query(lake, ledger) == [("maintain", "done", 5, NOW, None)]


def test_which_sources_have_a_retention_is_a_setting(lake: Lake) -> None:
    see(lake, ("a", "one", 90), run_id="b1", source="archive")
    assert expire(lake, "none", sources=()).texts == 0
    assert read_texts(lake) == [("a", "one")]
    assert expire(lake, "some", sources=("youtube", "archive")).texts == 1


def test_tokens_go_with_their_text_and_aggregates_stay(lake: Lake) -> None:
    see(lake, ("a", "SOME words", 90), ("b", "other words", 1), run_id="b1")
    materialize_features(lake, run_id="m1", now=NOW)
    windows = "select * from features.channel_features order by all"
    before = query(lake, FEATURES), query(lake, windows), query(lake, "select * exclude (text) from raw.comments")
    assert expire(lake).token_rows == 1
    gone = "token_ids_v1 is null, prefix_ids_v1 is null"
    assert query(lake, f"select comment_id, {gone} from features.comment_features order by 1") == [
        ("a", True, True),
        ("b", False, False),
    ]
    assert before == (
        query(lake, FEATURES),
        query(lake, windows),
        query(lake, "select * exclude (text) from raw.comments order by comment_id"),
    )


def test_tokens_that_came_while_their_text_expired_go_the_next_time(lake: Lake) -> None:
    see(lake, ("a", "some words", 90), run_id="b1")
    materialize_features(lake, run_id="m1", now=NOW)
    tokens = query(lake, TOKENS)
    expire(lake)
    with write_lake(lake, purpose="a materialization that began before") as connection:
        connection.execute("update features.comment_features set token_ids_v1 = ?", [tokens[0][1]])
    assert (expire(lake, "next").texts, query(lake, TOKENS)) == (0, [("a", None)])


def test_a_text_that_is_shown_again_comes_back_with_its_tokens(lake: Lake) -> None:
    see(lake, ("a", "SOME words: 3:45", 90), ("b", "other words", 90), run_id="b1")
    materialize_features(lake, run_id="m1", now=NOW)
    tables = "from raw.comments order by all", FEATURES, TOKENS
    before = [query(lake, sql) for sql in tables]
    expire(lake)
    receipt = see(lake, ("a", "SOME words: 3:45", 2), ("b", "other words", 1), run_id="b2")
    assert (receipt.rows_accepted, receipt.rows_known, receipt.data_version) == (0, 2, 2)
    assert [query(lake, sql) for sql in tables] == before
    assert (expire(lake, "next").texts, expire(lake, "later", now=NOW + timedelta(days=28)).texts) == (0, 1)
    assert read_texts(lake) == [("a", None), ("b", "other words")]


@pytest.mark.parametrize(
    ("days", "source"), [(90, "youtube"), (None, "youtube"), (1, "archive")], ids=["not newer", "untold", "by others"]
)
def test_what_is_no_new_observation_brings_nothing_back(lake: Lake, days: float | None, source: str) -> None:
    see(lake, ("a", "some words", 90), run_id="b1")
    expire(lake)
    assert see(lake, ("a", "some words", days), run_id="b2", source=source, published_at="").data_version == 1
    assert read_texts(lake) == [("a", None)]


def test_a_text_that_expired_without_features_goes_on_as_new(lake: Lake) -> None:
    see(lake, ("a", "some words", 90), run_id="b1")
    expire(lake)
    see(lake, ("a", "some words", 1), run_id="b2")
    assert query(lake, "select text, batch_id, ingest_seq from raw.comments") == [("some words", "b1", 2)]
    materialize_features(lake, run_id="m1", now=NOW)
    assert query(lake, "select comment_id, len(token_ids_v1) from features.comment_features") == [("a", 3)]


def test_only_the_newest_sighting_is_kept_and_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    sightings = "select comment_id, batch_id from raw.sightings order by all"
    see(lake, ("a", "one", 20), ("b", "two", 90), run_id="b1")
    for number, days in enumerate((9, 5, 5, 7), start=2):
        receipt = see(lake, ("a", "one", days), ("b", "two", 40 + days), run_id=f"b{number}")
        assert receipt.data_version == 1, "nothing that features rest on is new"
    assert query(lake, sightings) == [("a", "b2"), ("a", "b3"), ("b", "b2"), ("b", "b3")]
    assert expire(lake).sightings == 3
    assert query(lake, sightings) == [("a", "b3")]


def test_a_sighting_goes_with_its_batch(lake: Lake) -> None:
    see(lake, ("a", "one", 60), run_id="b1")
    see(lake, ("a", "one", 1), run_id="b2")
    assert revert_batch(lake, "b2", run_id="revert", now=NOW).rows_deleted["raw.sightings"] == 1
    assert expire(lake).texts == 1


def test_rows_in_the_quarantine_expire_and_wait_no_more(lake: Lake) -> None:
    bad = ("", "text without an id", 1)
    see(lake, bad, run_id="b1")
    see(lake, bad, ("", "another", 1), run_id="b2", source="archive")
    receipt = expire(lake, now=NOW + timedelta(days=30))
    assert receipt.payloads == 1
    rows = list_quarantine(lake)
    assert {row.batch_id: row.payload is None for row in rows} == {"b1": True, "b2": False}
    assert rows[-1].reasons == ("comment_id_missing",)
    with pytest.raises(BadData, match="no row of the batch b1 waits in the quarantine"):
        replay_batch(lake, "b1", run_id="replay", now=NOW, author_key=b"key")


def test_a_comment_without_a_text_is_still_refused_at_the_door(lake: Lake) -> None:
    receipt = see(lake, ("a", "", 1), ("b", "text", 1), run_id="b1")
    assert (receipt.rows_accepted, dict(receipt.rows_quarantined)) == (1, {"text_missing": 1})


def test_expiry_twice_changes_nothing(lake: Lake) -> None:
    see(lake, ("a", "one", 90), run_id="b1")
    materialize_features(lake, run_id="m1", now=NOW)
    expire(lake)
    again = expire(lake, "again")
    assert (again.texts, again.token_rows, again.payloads, again.sightings) == (0, 0, 0, 0)


def test_what_becomes_known_later_leaves_the_features_of_an_expired_text_as_they_were(lake: Lake) -> None:
    see(lake, ("a", "SOME words", 90), ("b", "other words", 90), ("b", "edited", 1), run_id="b1")
    materialize_features(lake, run_id="m1", now=NOW)
    expire(lake)
    with write_lake(lake, purpose="late counts") as connection:
        connection.execute(
            "insert into raw.comment_counts select unnest(['a', 'b']), ?, false, 7, null, 'youtube', 'b2', 2",
            [NOW - timedelta(days=91)],
        )
        append_run(connection, Run("b2", "ingest", NOW, NOW, data_version=2))
    materialize_features(lake, run_id="m2", now=NOW)
    rows = (
        "select distinct comment_id, text_chars, first_like_count, token_ids_v1 is null "
        "from features.comment_features order by all"
    )
    expired = [("a", 10, None, True), ("b", 11, None, True)]
    assert query(lake, rows) == [expired[0], ("b", 6, 7, False), ("b", 6, None, False), expired[1]]
    with write_lake(lake, purpose="a revert") as connection:
        run_transaction(connection, lambda inside: rebuild_features(inside, channel_ids=["ch"], comment_ids=["a", "b"]))
    assert query(lake, rows) == [expired[0], ("b", 6, 7, False), expired[1]]
