import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import cast

import pytest

from flows.sample_history import Comment, Span, build_channels, build_comments, build_videos
from flows.sample_observations import (
    CHANNEL_ABSENT_SHARE,
    CHANNEL_EMPTY_SHARE,
    DUPLICATE_SHARE,
    EDITED_SHARE,
    REVISITED_SHARE,
    SENTIMENT_NOISE,
    SPAM_NOISE,
    Row,
    as_instant,
    build_channel_rows,
    build_comment_rows,
    build_labels,
    build_video_rows,
)


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - repeatable on purpose


SPAN = Span(
    start_at=datetime(2026, 9, 7, tzinfo=UTC),
    drift_at=datetime(2026, 9, 28, tzinfo=UTC),
    end_at=datetime(2026, 10, 5, tzinfo=UTC),
)
CHANNELS = build_channels(_chance(1))
VIDEOS = build_videos(CHANNELS, SPAN, rng=_chance(2))


@pytest.fixture(scope="module")
def comments() -> tuple[Comment, ...]:
    return build_comments(3_000, VIDEOS, span=SPAN, rng=_chance(3))


@pytest.fixture(scope="module")
def rows(comments: tuple[Comment, ...]) -> list[Row]:
    return build_comment_rows(comments, SPAN, rng=_chance(4))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 9, 7, tzinfo=UTC), "2026-09-07T00:00:00Z"),
        (datetime(2026, 9, 7, 23, 59, 59, 999_999, tzinfo=UTC), "2026-09-07T23:59:59Z"),
    ],
)
def test_instants_are_whole_seconds_with_a_zone(at: datetime, text: str) -> None:
    assert as_instant(at) == text


def test_every_comment_is_first_observed_as_it_was_written(comments: tuple[Comment, ...], rows: list[Row]) -> None:
    first = {row["comment_id"]: (row["text"], row["observed_at"]) for row in reversed(rows)}
    assert first == {comment.comment_id: (comment.text, as_instant(comment.seen_at)) for comment in comments}


def test_rows_come_in_the_order_of_observation_within_the_span(rows: list[Row]) -> None:
    observed_at = [str(row["observed_at"]) for row in rows]
    assert observed_at == sorted(observed_at)
    assert as_instant(SPAN.start_at) <= observed_at[0] < observed_at[-1] < as_instant(SPAN.end_at)


# What would be observed after the span is not, hence a little below the share that is drawn.
def test_edits_come_in_their_share(comments: tuple[Comment, ...], rows: list[Row]) -> None:
    texts = Counter(comment_id for comment_id, _ in {(row["comment_id"], row["text"]) for row in rows})
    assert 0.7 * EDITED_SHARE < sum(count > 1 for count in texts.values()) / len(comments) < 1.1 * EDITED_SHARE


def test_second_looks_come_in_their_share(comments: tuple[Comment, ...], rows: list[Row]) -> None:
    looks = Counter(look[:2] for look in {(row["comment_id"], row["text"], row["observed_at"]) for row in rows})
    assert 0.7 * REVISITED_SHARE < sum(count > 1 for count in looks.values()) / len(comments) < 1.1 * REVISITED_SHARE


def test_some_rows_come_twice_value_for_value(rows: list[Row]) -> None:
    doubled = len(rows) - len({json.dumps(row) for row in rows})
    assert doubled / len(rows) == pytest.approx(DUPLICATE_SHARE, abs=0.004)


def test_some_channels_are_known_by_the_video_only(rows: list[Row]) -> None:
    channel_of = {video.video_id: video.channel.channel_id for video in VIDEOS}
    stated = Counter(row.get("channel_id", "absent") or "empty" for row in rows)
    assert stated["absent"] / len(rows) == pytest.approx(CHANNEL_ABSENT_SHARE, abs=0.02)
    assert stated["empty"] / len(rows) == pytest.approx(CHANNEL_EMPTY_SHARE, abs=0.02)
    assert all(row.get("channel_id") in (None, "", channel_of[str(row["video_id"])]) for row in rows)


def test_counts_of_a_comment_never_shrink_and_some_grow(rows: list[Row]) -> None:
    last: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    grown = 0
    for row in rows:
        like_count, reply_count = cast("int", row["like_count"]), cast("int", row["reply_count"])
        likes_before, replies_before = last[str(row["comment_id"])]
        assert like_count >= likes_before
        assert reply_count >= replies_before
        grown += like_count > likes_before > 0
        last[str(row["comment_id"])] = (like_count, reply_count)
    assert grown > 20


def test_replies_are_counted_up_to_the_moment(comments: tuple[Comment, ...], rows: list[Row]) -> None:
    answered = [row for row in rows if cast("int", row["reply_count"]) > 0]
    assert len(answered) > 20
    for row in answered:
        known = [
            comment
            for comment in comments
            if comment.parent_id == row["comment_id"] and as_instant(comment.published_at) <= str(row["observed_at"])
        ]
        assert row["reply_count"] == len(known)


def test_labels_come_within_three_days_and_within_the_span(comments: tuple[Comment, ...]) -> None:
    seen_at = {comment.comment_id: comment.seen_at for comment in comments}
    labels = build_labels(comments, 1.0, span=SPAN, rng=_chance(5))
    assert len(labels) == len({label.comment_id for label in labels})
    assert [label.labelled_at for label in labels] == sorted(label.labelled_at for label in labels)
    for label in labels:
        assert seen_at[label.comment_id] <= label.labelled_at < SPAN.end_at
        assert label.labelled_at - seen_at[label.comment_id] <= timedelta(days=3)


def test_the_stated_share_of_labels_is_wrong(comments: tuple[Comment, ...]) -> None:
    mood = {comment.comment_id: comment.mood for comment in comments}
    labels = build_labels(comments, 1.0, span=SPAN, rng=_chance(5))
    meant = [(label, mood[label.comment_id]) for label in labels]
    wrong_mood = sum(label.sentiment != ("neutral" if meaning == "spam" else meaning) for label, meaning in meant)
    wrong_spam = sum((label.spam == "spam") != (meaning == "spam") for label, meaning in meant)
    assert wrong_mood / len(labels) == pytest.approx(SENTIMENT_NOISE, abs=0.01)
    assert wrong_spam / len(labels) == pytest.approx(SPAM_NOISE, abs=0.004)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 725)])
def test_labels_are_as_many_as_asked_for(comments: tuple[Comment, ...], share: float, expected: int) -> None:
    assert len(build_labels(comments, share, span=SPAN, rng=_chance(6))) == pytest.approx(expected, abs=60)


def test_videos_are_known_before_their_comments_and_observed_weekly(comments: tuple[Comment, ...]) -> None:
    rows = build_video_rows(VIDEOS, comments, span=SPAN)
    known_at = {row["video_id"]: str(row["observed_at"]) for row in reversed(rows)}
    assert all(known_at[comment.video.video_id] < as_instant(comment.published_at) for comment in comments)
    series: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        series[str(row["video_id"])].append(cast("int", row["comment_count"]))
    assert len(series) == 96
    assert max(map(len, series.values())) == 5
    assert all(values == sorted(values) for values in series.values())


def test_channels_are_observed_every_third_day_and_lose_people_at_the_end() -> None:
    rows = build_channel_rows(CHANNELS, VIDEOS, span=SPAN)
    series: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        series[str(row["channel_id"])].append(cast("int", row["subscriber_count"]))
    assert len(series) == 12
    for values in series.values():
        assert len(values) == 10
        assert values[:7] == sorted(values[:7])
        assert values[-1] < max(values)
