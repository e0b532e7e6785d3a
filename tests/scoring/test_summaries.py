"""Summaries: literal figures, an interval that keeps its definition, and groups that follow what changed."""

from datetime import date
from math import sqrt
from random import Random
from typing import Any

import duckdb
import pytest

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from scoring.summaries import rebuild_summaries, refresh_summaries_of
from tests.scoring.score_rows import Score, append_scores

MONDAY = date(2026, 3, 2)
TUESDAY = date(2026, 3, 3)


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_days(lake: Lake) -> list[tuple[Any, ...]]:
    return read(
        lake,
        "select channel_id, published_on, label, comment_count, label_count from scores.channel_daily "
        "where label_count > 0 order by all",
    )


def read_videos(lake: Lake) -> list[tuple[Any, ...]]:
    return read(
        lake,
        "select video_id, label, comment_count, label_count from scores.video_summary "
        "where label_count > 0 order by all",
    )


def test_each_group_has_a_row_for_each_label(lake: Lake) -> None:
    scores = [
        Score("a", "negative", p_negative=0.75, p_positive=0.25),
        Score("b", "negative", hour=23, p_negative=0.5, p_positive=0.0, is_abstained=True),
        Score("c", "positive", p_negative=0.0, p_positive=1.0),
        Score("d", "neutral", p_negative=0.25, p_positive=0.25),
        Score("e", "neutral", day=1),
    ]
    append_scores(lake, "sentiment", "run-1", scores)
    found = read(
        lake,
        "select published_on, label, comment_count, label_count, label_share, abstained_share, mood "
        "from scores.channel_daily where model = 'sentiment' and channel_id = 'c' order by published_on, label",
    )
    assert found == [
        (MONDAY, "negative", 4, 2, 0.5, 0.25, 0.0),
        (MONDAY, "neutral", 4, 1, 0.25, 0.25, 0.0),
        (MONDAY, "positive", 4, 1, 0.25, 0.25, 0.0),
        (TUESDAY, "negative", 1, 0, 0.0, 0.0, 0.0),
        (TUESDAY, "neutral", 1, 1, 1.0, 0.0, 0.0),
        (TUESDAY, "positive", 1, 0, 0.0, 0.0, 0.0),
    ]


def test_a_video_tells_its_channel_and_since_when_it_is_written_about(lake: Lake) -> None:
    append_scores(lake, "spam", "run-1", [Score("a", "ham", day=3, hour=5), Score("b", "spam", day=None)])
    found = read(
        lake,
        "select video_id, label, channel_id, first_published_at::varchar, last_published_at::varchar, comment_count, "
        "mood from scores.video_summary order by label",
    )
    instant = "2026-03-05 05:00:00+00"
    assert found == [("v", "ham", "c", instant, instant, 2, None), ("v", "spam", "c", instant, instant, 2, None)]


def test_mood_is_the_mean_of_positive_less_negative(lake: Lake) -> None:
    scores = [Score("a", "positive", p_positive=0.75, p_negative=0.0), Score("b", "negative", p_negative=0.5)]
    append_scores(lake, "sentiment", "run-1", scores)
    assert read(lake, "select distinct mood from scores.video_summary") == [(0.25,)]


def test_a_comment_without_a_channel_a_day_or_a_video_is_in_no_row_of_theirs(lake: Lake) -> None:
    scores = [Score("a", "ham", channel_id=None), Score("b", "ham", day=None), Score("c", "ham", video_id=None)]
    append_scores(lake, "spam", "run-1", scores)
    assert read_days(lake) == [("c", MONDAY, "ham", 1, 1)]
    assert read_videos(lake) == [("v", "ham", 2, 2)]


def test_the_interval_ends_where_a_share_would_lie_1_96_deviations_away(lake: Lake) -> None:
    cases = [(0, 1), (1, 1), (0, 50), (3, 7), (5, 40)]
    scores = [
        Score(f"{count} {of} {number}", "spam" if number < count else "ham", video_id=f"{count} of {of}")
        for count, of in cases
        for number in range(of)
    ]
    append_scores(lake, "spam", "run-1", scores)
    found = read(
        lake,
        "select label_count, comment_count, label_share_low, label_share_high from scores.video_summary "
        "where label = 'spam'",
    )
    assert {row[:2] for row in found} == set(cases)
    for count, of, low, high in found:
        assert low <= count / of <= high
        for bound in (low, high):
            deviation = sqrt(bound * (1 - bound) / of)
            assert abs(count / of - bound) == pytest.approx(1.959964 * deviation, abs=1e-9)


def test_a_comment_that_moved_leaves_its_old_groups(lake: Lake) -> None:
    append_scores(lake, "spam", "run-1", [Score("a", "spam"), Score("b", "ham")])
    append_scores(lake, "spam", "run-2", [Score("a", "ham", day=1, video_id="w")])
    assert read_days(lake) == [("c", MONDAY, "ham", 1, 1), ("c", TUESDAY, "ham", 1, 1)]
    assert read_videos(lake) == [("v", "ham", 1, 1), ("w", "ham", 1, 1)]
    append_scores(lake, "spam", "run-3", [Score("b", "ham", day=1, video_id="w")])
    assert read_days(lake) == [("c", TUESDAY, "ham", 2, 2)]
    assert read_videos(lake) == [("w", "ham", 2, 2)]


def test_groups_that_no_change_touches_are_not_written_again(lake: Lake) -> None:
    append_scores(lake, "spam", "run-1", [Score("a", "spam"), Score("b", "ham", day=1, video_id="w")])
    before = read(lake, "select rowid, label from scores.channel_daily where published_on = '2026-03-02' order by all")
    append_scores(lake, "spam", "run-2", [Score("c", "spam", day=1, video_id="w")])
    after = read(lake, "select rowid, label from scores.channel_daily where published_on = '2026-03-02' order by all")
    assert before == after
    assert read_videos(lake) == [("v", "spam", 1, 1), ("w", "ham", 2, 1), ("w", "spam", 2, 1)]


def test_models_do_not_touch_each_other(lake: Lake) -> None:
    append_scores(lake, "sentiment", "run-1", [Score("a", "neutral")])
    append_scores(lake, "spam", "run-2", [Score("a", "ham")])
    append_scores(lake, "spam", "run-3", [Score("a", "spam")])
    assert read(lake, "select model, label from scores.video_summary where label_count = 1 order by all") == [
        ("sentiment", "neutral"),
        ("spam", "spam"),
    ]


def test_withdrawn_comments_leave_their_groups(lake: Lake) -> None:
    append_scores(lake, "spam", "run-1", [Score("a", "spam"), Score("b", "ham", day=1)])

    def withdraw(connection: duckdb.DuckDBPyConnection) -> None:
        withdrawn = "select * from scores.spam_current where comment_id = 'a'"
        connection.execute(f"create or replace temporary table withdrawn as {withdrawn}")
        connection.execute("delete from scores.spam_current where comment_id = 'a'")
        refresh_summaries_of(connection, "spam", "from withdrawn")

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, withdraw)
    assert read_days(lake) == [("c", TUESDAY, "ham", 1, 1)]
    assert read_videos(lake) == [("v", "ham", 1, 1)]


def test_a_model_scored_before_there_were_summaries_is_counted_whole(lake: Lake) -> None:
    append_scores(lake, "spam", "run-1", [Score("a", "spam"), Score("b", "ham", day=1)])
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from scores.channel_daily")
    append_scores(lake, "spam", "run-2", [Score("c", "ham", day=1)])
    assert read_days(lake) == [("c", MONDAY, "spam", 1, 1), ("c", TUESDAY, "ham", 2, 2)]


def test_following_changes_ends_where_counting_everything_does(lake: Lake) -> None:
    random = Random(5)  # noqa: S311 - a test's draw
    for run in range(6):
        scores = [
            Score(
                str(comment),
                random.choice(["negative", "neutral", "positive"]),
                channel_id=random.choice(["c", "d", None]),
                video_id=random.choice(["v", "w", None]),
                day=random.choice([0, 1, None]),
                is_abstained=random.random() < 0.3,
                p_positive=random.random() / 2,
            )
            for comment in random.sample(range(12), 4)
        ]
        append_scores(lake, "sentiment", f"run-{run}", scores)
    tables = ("channel_daily", "video_summary")
    followed = [
        read(lake, f"select * replace (round(mood, 9) as mood) from scores.{name} order by all") for name in tables
    ]
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda connection: rebuild_summaries(connection, "sentiment"))
    counted = [
        read(lake, f"select * replace (round(mood, 9) as mood) from scores.{name} order by all") for name in tables
    ]
    assert followed == counted
    assert all(followed)
