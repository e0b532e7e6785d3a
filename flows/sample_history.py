"""The history that the sample tells: which channels and videos there are, who writes what, where and when.

Belongs here: what happens. Does not belong here: the wording (`sample_text`), what of it is observed and
labelled (`sample_observations`), malformed rows and files (`sample`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from math import exp
from random import Random
from typing import Any

from flows import sample_text
from flows.sample_text import MOODS, SPAM, Voice

LATE_SHARE = 0.04  # of comments: observed one to four days after they were published
REPLY_SHARE = 0.16
CAMPAIGN_SHARE = 0.25  # of spam: the very text that others post too

_VIDEOS_BEFORE, _VIDEOS_DURING = 4, 3  # per channel; one more follows in the drifting week
_DAY = timedelta(days=1)
_FIRST_COMMENT_DAYS = 0.01  # after the video, so the video is always known before its comments
_HOUR_WEIGHTS = (3, 2, 2, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 6, 5, 5, 6, 7, 8, 9, 10, 9, 7, 5)
_DAY_WEIGHTS = (10, 10, 10, 10, 11, 14, 14)  # from Monday
_DRIFT_MOODS = (2.4, 1.0, 0.5)  # the factors on negative, neutral, positive in the drifting week
_DRIFT_SPAM = 2.2
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True, slots=True)
class Span:
    """The simulated time, `start_at` to before `end_at`, drifting from `drift_at`; midnights in UTC."""

    start_at: datetime
    drift_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and how people write there; `moods` weighs negative, neutral, positive.

    `weight` is its share of all comments relative to the others, `subscriber_count` that at the start.
    """

    channel_id: str
    title: str
    topic: str
    moods: Sequence[int]
    weight: int
    spam_share: float
    languages: dict[str, int]
    subscriber_count: int


@dataclass(frozen=True, slots=True)
class Video:
    """A video; `pull` is its share of the comments relative to its channel's other videos."""

    video_id: str
    channel: Channel
    title: str
    published_at: datetime
    pull: float


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it is meant, before anyone observes or labels it; `mood` may be `spam`."""

    comment_id: str
    parent_id: str
    video: Video
    author: str
    text: str
    mood: str
    published_at: datetime
    seen_at: datetime
    final_like_count: int


@dataclass(slots=True)
class _Threads:
    """Who may be answered: the top-level comments per video so far, and the spam texts going round."""

    campaigns: dict[bool, list[str]]
    top_level: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def draw_id(prefix: str, length: int, rng: Random) -> str:
    """An id of YouTube's look: the prefix and `length` characters of its alphabet."""
    return prefix + "".join(rng.choices(_ALPHABET, k=length))


def build_channels(rng: Random) -> tuple[Channel, ...]:
    """The channels of the vocabulary, with ids."""
    return tuple(_channel(described, rng) for described in sample_text.phrases()["channels"])


def _channel(described: dict[str, Any], rng: Random) -> Channel:
    subscriber_count = described["weight"] * rng.randrange(3_000, 12_000)
    return Channel(channel_id=draw_id("UC", 22, rng), subscriber_count=subscriber_count, **described)


def build_videos(channels: Sequence[Channel], span: Span, *, rng: Random) -> tuple[Video, ...]:
    """Eight videos per channel: four older than the span, three new, one on the drifting week's news."""
    return tuple(_video(channel, at, span=span, rng=rng) for channel in channels for at in _premieres(span, rng))


def _premieres(span: Span, rng: Random) -> Iterator[datetime]:
    for _ in range(_VIDEOS_BEFORE):
        yield span.start_at - timedelta(days=rng.randrange(2, 120), seconds=rng.randrange(86_400))
    for _ in range(_VIDEOS_DURING):
        yield span.start_at + (span.drift_at - span.start_at) * rng.random()
    yield span.drift_at + timedelta(hours=rng.randrange(1, 36))


def _video(channel: Channel, at: datetime, *, span: Span, rng: Random) -> Video:
    title = sample_text.write_title(channel.topic, is_drifting=at >= span.drift_at, rng=rng)
    return Video(draw_id("", 11, rng), channel, title, at.replace(microsecond=0), rng.uniform(0.4, 2.0))


def build_comments(count: int, videos: Sequence[Video], *, span: Span, rng: Random) -> tuple[Comment, ...]:
    """The comments, in order of publication.

    Parameters
    ----------
    count
        How many comments to publish in the span.
    videos
        Grouped by channel, as `build_videos` returns them.
    span
        Comments are published in it and first seen in it; the mood turns at its `drift_at`.
    rng
        The only source of chance.

    Returns
    -------
    tuple of Comment
        One per comment id. Every comment is younger than its video and than the comment it answers.
    """
    by_channel = [list(group) for _, group in groupby(videos, key=lambda video: video.channel.channel_id)]
    weights = [group[0].channel.weight for group in by_channel]
    threads = _Threads({is_drifting: _campaigns(videos, rng, is_drifting=is_drifting) for is_drifting in (False, True)})
    return tuple(
        _comment(
            at,
            _choose_video(rng.choices(by_channel, weights)[0], at, rng=rng),
            span=span,
            threads=threads,
            rng=rng,
        )
        for at in _moments(count, span, rng=rng)
    )


def _moments(count: int, span: Span, *, rng: Random) -> list[datetime]:
    hours = range(int((span.end_at - span.start_at) / timedelta(hours=1)))
    weights = [
        _HOUR_WEIGHTS[hour % 24] * _DAY_WEIGHTS[(span.start_at + timedelta(hours=hour)).weekday()] for hour in hours
    ]
    seconds = sorted(hour * 3600 + rng.randrange(3600) for hour in rng.choices(hours, weights, k=count))
    return [span.start_at + timedelta(seconds=second) for second in seconds]


def _choose_video(videos: Sequence[Video], at: datetime, *, rng: Random) -> Video:
    ages_days = [(at - video.published_at) / _DAY for video in videos]
    weights = [
        video.pull * max(0.06, exp(-age / 6)) if age > _FIRST_COMMENT_DAYS else 0.0
        for video, age in zip(videos, ages_days, strict=True)
    ]
    return rng.choices(videos, weights)[0]


def _campaigns(videos: Sequence[Video], rng: Random, *, is_drifting: bool) -> list[str]:
    topics = [rng.choice(videos).channel.topic for _ in range(30)]
    return [sample_text.write_text(Voice(SPAM, "en", topic, is_drifting), rng) for topic in topics]


def _comment(at: datetime, video: Video, *, span: Span, threads: _Threads, rng: Random) -> Comment:
    voice = _voice(video.channel, rng, is_drifting=at >= span.drift_at)
    is_spam = voice.mood == SPAM
    is_campaign = is_spam and rng.random() < CAMPAIGN_SHARE
    comment_id, parent_id = _place_in_thread(threads.top_level[video.video_id], rng)
    return Comment(
        comment_id=comment_id,
        parent_id=parent_id,
        video=video,
        author=sample_text.write_handle(int((90 if is_spam else 6000) * rng.random() ** 2) + 10_000 * is_spam),
        text=rng.choice(threads.campaigns[voice.is_drifting]) if is_campaign else sample_text.write_text(voice, rng),
        mood=voice.mood,
        published_at=at,
        seen_at=_first_seen_at(at, span, rng=rng),
        final_like_count=_final_like_count(rng) // (8 if is_spam else 1),
    )


def _final_like_count(rng: Random) -> int:
    """Half of the comments get none, one in a thousand gets thousands."""
    return min(int(rng.paretovariate(0.9)) - 1, 60_000)


def _voice(channel: Channel, rng: Random, *, is_drifting: bool) -> Voice:
    if rng.random() < channel.spam_share * (_DRIFT_SPAM if is_drifting else 1):
        return Voice(SPAM, "en", channel.topic, is_drifting)
    factors = _DRIFT_MOODS if is_drifting else (1, 1, 1)
    mood = rng.choices(MOODS, [weight * factor for weight, factor in zip(channel.moods, factors, strict=True)])[0]
    return Voice(mood, sample_text.pick_weighted(channel.languages, rng), channel.topic, is_drifting)


def _place_in_thread(top_level: list[str], rng: Random) -> tuple[str, str]:
    """The new comment's id and its parent's, empty for a new thread, which later comments may answer."""
    if top_level and rng.random() < REPLY_SHARE:
        parent_id = rng.choice(top_level[-40:])
        return draw_id(f"{parent_id}.", 22, rng), parent_id
    top_level.append(draw_id("Ug", 17, rng) + "4AaABAg")
    return top_level[-1], ""


def _first_seen_at(at: datetime, span: Span, *, rng: Random) -> datetime:
    late = at + timedelta(seconds=rng.randrange(86_400, 4 * 86_400))
    if rng.random() < LATE_SHARE and late < span.end_at:
        return late
    return min(at + timedelta(seconds=rng.randrange(30, 2700)), span.end_at - timedelta(seconds=1))
