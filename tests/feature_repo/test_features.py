"""Features: literal tables, golden token ids, and the channel windows computed a second, plain way."""

import math
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.errors import Unavailable
from feature_repo.features.materialize import (
    MaterializeReceipt,
    materialize_features,
    publish_features,
    read_text_features_sql,
)
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_data_version

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def read_text_features(text: str) -> dict[str, Any]:
    sql = (
        f"with texts as (select $1::varchar as text) {read_text_features_sql().replace('with measured', ', measured')}"
    )
    relation = duckdb.execute(sql, [text])
    names = [column[0] for column in relation.description]
    row = relation.fetchone()
    assert row is not None
    return dict(zip(names, row, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sooo GOOD!!", {"text_chars": 11, "word_count": 2, "exclamation_count": 2, "stretch_count": 1}),
        ("GOOD day", {"capital_share": 4 / 7, "mean_word_chars": 3.5}),
        ("can't won’t", {"word_count": 2}),
        ("at 3:45 and 1:02:03, not 3:4", {"video_time_count": 2}),
        ("see https://a.b www.c.d <a href=x>", {"url_count": 3}),
        ("😀🔥 ok", {"emoji_count": 2, "word_count": 1}),
        ("Привет мир", {"non_latin_share": 1.0, "word_count": 2}),
        ("abc где", {"non_latin_share": 0.5}),
        ("?!", {"word_count": 0, "mean_word_chars": 0.0, "capital_share": 0.0, "punctuation_share": 1.0}),
        ("12 34", {"digit_share": 0.8, "question_count": 0}),
    ],
)
def test_text_features(text: str, expected: dict[str, float]) -> None:
    found = read_text_features(text)
    assert {name: pytest.approx(found[name]) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "token_ids"),
    [
        ("?", [160038]),
        ("Привет мир", [257400, 505659, 60416]),
        ("can't &amp; 你好", [644215, 676522, 601153, 162881, 698078, 667886, 940448, 697065, 914432]),
    ],
)
def test_token_ids_never_change(text: str, token_ids: list[int]) -> None:
    assert read_text_features(text)["token_ids_v1"] == token_ids


def add_comments(lake: Lake, comments: list[dict[str, Any]], *, channels: list[dict[str, Any]] = []) -> int:  # noqa: B006
    """Append a batch of comments as an ingest would; returns its number."""

    def work(connection: duckdb.DuckDBPyConnection) -> int:
        number = read_data_version(connection) + 1
        for comment in comments:
            row = {"text": "Hello", "channel_id": "c1", "parent_id": None, "published_at": START} | comment
            text_id = row.get("text_id") or f"t-{row['text']}"
            connection.execute(
                "insert into raw.comments values (?, ?, ?, null, ?, null, ?, ?, ?, false, 'test', ?, ?)",
                [
                    row["comment_id"], text_id, row["channel_id"], row["parent_id"], row["text"], row["published_at"],
                    row.get("observed_at", row["published_at"]), f"b{number}", number,
                ],
            )  # fmt: skip
        for channel in channels:
            connection.execute(
                "insert into raw.channels values (?, null, ?, false, ?, null, null, 'test', ?, ?)",
                [channel["channel_id"], channel["observed_at"], channel["subscriber_count"], f"b{number}", number],
            )
        append_run(connection, Run(f"b{number}", "ingest", NOW, NOW, data_version=number))
        return number

    with write_lake(lake, purpose="test") as connection:
        return run_transaction(connection, work)


def read_channel_rows(lake: Lake) -> dict[tuple[str, datetime], tuple[Any, ...]]:
    """The newest version of each row of the channel windows."""
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select channel_id, event_timestamp, comment_count_1d, comment_count_7d, comment_count_30d, "
            "reply_share_7d, capital_share_7d, url_share_7d, subscriber_count, ingest_seq "
            "from features.channel_features "
            "qualify row_number() over (partition by channel_id, event_timestamp order by ingest_seq desc) = 1"
        ).fetchall()
    return {(row[0], row[1]): row[2:] for row in rows}


def test_a_comment_enters_at_the_next_full_hour_and_leaves_three_windows(lake: Lake) -> None:
    at = START + timedelta(minutes=5)
    add_comments(lake, [{"comment_id": "a", "published_at": at}])
    materialize_features(lake, run_id="m1", now=NOW)
    hour = START + timedelta(hours=1)
    counts = {at - hour: row[:3] for (_, at), row in read_channel_rows(lake).items()}
    assert counts == {
        timedelta(0): (1, 1, 1),
        timedelta(days=1): (0, 1, 1),
        timedelta(days=7): (0, 0, 1),
        timedelta(days=30): (0, 0, 0),
    }


def test_a_late_comment_is_counted_from_when_it_was_known(lake: Lake) -> None:
    late = {"comment_id": "a", "published_at": START, "observed_at": START + timedelta(days=3, minutes=1)}
    add_comments(lake, [late])
    materialize_features(lake, run_id="m1", now=NOW)
    rows = read_channel_rows(lake)
    assert min(at for _, at in rows) == START + timedelta(days=3, hours=1)
    assert rows["c1", START + timedelta(days=3, hours=1)][:3] == (0, 1, 1)


def test_a_second_materialization_has_nothing_to_do(lake: Lake) -> None:
    add_comments(lake, [{"comment_id": "a"}])
    first = materialize_features(lake, run_id="m1", now=NOW)
    second = materialize_features(lake, run_id="m2", now=NOW)
    assert first.rows == {"features.comment_features": 1, "features.channel_features": 4}
    assert second.rows == {}


def test_the_loser_of_two_materializations_publishes_nothing(lake: Lake) -> None:
    add_comments(lake, [{"comment_id": "a"}])
    materialize_features(lake, run_id="winner", now=NOW)
    stale = MaterializeReceipt("loser", 0, 1, {"features.comment_features": 1}, 0.0)
    with pytest.raises(Unavailable, match="another materialization finished first"):
        publish_features(lake, lake.staging / "loser", stale, NOW)
    with read_lake(lake) as connection:
        assert connection.execute("select run_id from ops.runs where kind = 'materialize'").fetchall() == [("winner",)]


comment = st.fixed_dictionaries(
    {
        "channel_id": st.sampled_from(["c1", "c2"]),
        "text": st.sampled_from(["Hello", "LOUD", "see https://x.y", "a"]),
        "parent_id": st.sampled_from([None, "p"]),
        "published_minutes": st.integers(0, 50 * 24 * 60),
        "delay_minutes": st.sampled_from([0, 0, 0, 30, 60, 3 * 24 * 60, 40 * 24 * 60]),
    }
)
batch = st.lists(comment, min_size=1, max_size=6)


def build_batch(raw: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [
        {
            "comment_id": f"{number}-{index}",
            "published_at": START + timedelta(minutes=row["published_minutes"]),
            "observed_at": START + timedelta(minutes=row["published_minutes"] + row["delay_minutes"]),
            **{name: row[name] for name in ("channel_id", "text", "parent_id")},
        }
        for index, row in enumerate(raw)
    ]


def count_plainly(comments: list[dict[str, Any]], channel: str, hour: datetime) -> tuple[Any, ...]:
    """The windows at an hour, by looking at every comment."""
    known = [
        row
        for row in comments
        if row["channel_id"] == channel and row["published_at"] <= hour and row["observed_at"] <= hour
    ]
    within = {days: [row for row in known if row["published_at"] > hour - timedelta(days=days)] for days in (1, 7, 30)}
    week = within[7]

    def share(values: list[float]) -> float | None:
        return sum(values) / len(values) if values else None

    return (
        len(within[1]),
        len(week),
        len(within[30]),
        share([row["parent_id"] is not None for row in week]),
        share([round(read_text_features(row["text"])["capital_share"], 6) for row in week]),
        share([row["text"].startswith("see") for row in week]),
    )


@settings(max_examples=6, deadline=None)
@given(batches=st.lists(batch, min_size=1, max_size=3))
def test_incremental_windows_equal_a_plain_count_and_a_rebuild(
    batches: list[list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory, seed_home: Any
) -> None:
    folder = tmp_path_factory.mktemp("windows")
    lakes = []
    for name in ("incremental", "rebuilt"):
        shutil.copytree(seed_home, folder / name)
        lakes.append(Lake(folder / name))
    incremental, rebuilt = lakes
    comments: list[dict[str, Any]] = []
    for number, raw in enumerate(batches):
        rows = build_batch(raw, number)
        comments += rows
        add_comments(incremental, rows)
        materialize_features(incremental, run_id=f"m{number}", now=NOW)
        add_comments(rebuilt, rows)
    materialize_features(rebuilt, run_id="all", now=NOW)
    found = read_channel_rows(incremental)
    assert found == read_channel_rows(rebuilt)
    for (channel, hour), row in found.items():
        expected = count_plainly(comments, channel, hour)
        assert row[:3] == expected[:3]
        for value, wanted in zip(row[3:6], expected[3:], strict=True):
            assert (value is None) == (wanted is None)
            assert value is None or math.isclose(value, wanted, abs_tol=1e-6)


def test_the_last_known_statistics_stand_beside_the_windows(lake: Lake) -> None:
    add_comments(
        lake,
        [{"comment_id": "a", "published_at": START}],
        channels=[
            {"channel_id": "c1", "observed_at": START - timedelta(hours=2), "subscriber_count": 10},
            {"channel_id": "c1", "observed_at": START + timedelta(hours=5), "subscriber_count": 11},
        ],
    )
    materialize_features(lake, run_id="m1", now=NOW)
    rows = read_channel_rows(lake)
    known = {
        (at - START) / timedelta(hours=1): row[6] for (_, at), row in rows.items() if at < START + timedelta(days=1)
    }
    assert known == {-2.0: 10, 0.0: 10, 5.0: 11}
