import re
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from flows.sample_history import (
    CAMPAIGN_SHARE,
    LATE_SHARE,
    REPLY_SHARE,
    Comment,
    Span,
    build_channels,
    build_comments,
    build_videos,
)


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - repeatable on purpose


SPAN = Span(
    start_at=datetime(2026, 9, 7, tzinfo=UTC),  # a Monday
    drift_at=datetime(2026, 9, 28, tzinfo=UTC),
    end_at=datetime(2026, 10, 5, tzinfo=UTC),
)
CHANNELS = build_channels(_chance(1))
VIDEOS = build_videos(CHANNELS, SPAN, rng=_chance(2))


@pytest.fixture(scope="module")
def comments() -> tuple[Comment, ...]:
    return build_comments(3_000, VIDEOS, span=SPAN, rng=_chance(3))


def test_ids_and_handles_look_like_those_of_the_platform(comments: tuple[Comment, ...]) -> None:
    assert len({channel.channel_id for channel in CHANNELS}) == 12
    assert len({video.video_id for video in VIDEOS}) == 96
    assert len({comment.comment_id for comment in comments}) == 3_000
    assert all(re.fullmatch(r"UC[\w-]{22}", channel.channel_id) for channel in CHANNELS)
    assert all(re.fullmatch(r"[\w-]{11}", video.video_id) for video in VIDEOS)
    for comment in comments:
        assert re.fullmatch(r"Ug[\w-]{24}(\.[\w-]{22})?", comment.comment_id)
        assert re.fullmatch(r"@[a-z]+_[a-z]+\d{4,5}", comment.author)


def test_nothing_happens_before_what_it_hangs_on(comments: tuple[Comment, ...]) -> None:
    by_id = {comment.comment_id: comment for comment in comments}
    for comment in comments:
        assert comment.video.published_at < comment.published_at < comment.seen_at
        if comment.parent_id:
            assert by_id[comment.parent_id].published_at <= comment.published_at
            assert by_id[comment.parent_id].video == comment.video


def test_comments_are_published_in_order_and_seen_within_the_span(comments: tuple[Comment, ...]) -> None:
    published_at = [comment.published_at for comment in comments]
    assert published_at == sorted(published_at)
    assert published_at[0] >= SPAN.start_at
    assert max(comment.seen_at for comment in comments) < SPAN.end_at


def test_some_comments_arrive_one_to_four_days_late(comments: tuple[Comment, ...]) -> None:
    delays = [comment.seen_at - comment.published_at for comment in comments]
    late = [delay for delay in delays if delay >= timedelta(days=1)]
    # Those that would come after the span are seen at once instead.
    assert 0.7 * LATE_SHARE < len(late) / len(delays) < 1.1 * LATE_SHARE
    assert max(late) < timedelta(days=4)
    assert max(delay for delay in delays if delay < timedelta(days=1)) < timedelta(hours=1)


def test_evenings_and_weekends_are_busy(comments: tuple[Comment, ...]) -> None:
    hours = Counter(comment.published_at.hour for comment in comments)
    weekdays = Counter(comment.published_at.weekday() for comment in comments)
    assert hours[20] > 4 * hours[4]
    assert min(weekdays[5], weekdays[6]) > 1.15 * max(weekdays[day] for day in range(4))


def test_replies_come_in_their_share(comments: tuple[Comment, ...]) -> None:
    share = sum(bool(comment.parent_id) for comment in comments) / len(comments)
    assert share == pytest.approx(REPLY_SHARE, abs=0.02)


def test_every_channel_has_every_mood_and_spam(comments: tuple[Comment, ...]) -> None:
    moods: dict[str, set[str]] = defaultdict(set)
    for comment in comments:
        moods[comment.video.channel.title].add(comment.mood)
    assert len(moods) == 12
    assert all(of_channel == {"negative", "neutral", "positive", "spam"} for of_channel in moods.values())


def test_channels_differ_in_mood(comments: tuple[Comment, ...]) -> None:
    def negative_share(title: str) -> float:
        moods = [comment.mood for comment in comments if comment.video.channel.title == title]
        return moods.count("negative") / len(moods)

    assert negative_share("Ferry Street Report") > 2 * negative_share("Cat on the Router")


def test_spam_campaigns_post_one_text_under_many_ids(comments: tuple[Comment, ...]) -> None:
    spam = [comment for comment in comments if comment.mood == "spam"]
    posts = Counter(comment.text for comment in spam)
    loudest, count = posts.most_common(1)[0]
    assert sum(count for count in posts.values() if count > 1) / len(spam) > 0.8 * CAMPAIGN_SHARE
    assert len({comment.author for comment in spam if comment.text == loudest}) > count / 2 > 2


def test_likes_have_a_heavy_tail(comments: tuple[Comment, ...]) -> None:
    likes = sorted(comment.final_like_count for comment in comments)
    assert likes[0] == 0
    assert statistics.median(likes) <= 1
    assert sum(likes[-len(likes) // 100 :]) > sum(likes) / 2


def test_a_history_follows_from_the_state_of_chance_alone() -> None:
    one, two, other = (build_comments(200, VIDEOS, span=SPAN, rng=_chance(seed)) for seed in (3, 3, 4))
    assert one == two
    assert not {comment.comment_id for comment in one} & {comment.comment_id for comment in other}
