"""What is observed of the sample's history, and what labellers say of it: rows of canonical columns.

Belongs here: observation after the fact, so late arrivals, edits, counts that grow, labels with their noise.
Does not belong here: what happened (`sample_history`), malformed rows and files (`sample`).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from flows.sample_history import Channel, Comment, Span, Video
from flows.sample_text import MOODS, SPAM, edit_text

Row: TypeAlias = dict[str, str | int]
"""One line of a file: canonical column name to value, instants as ISO 8601 with Z."""

EDITED_SHARE = 0.03  # of comments: observed again with another text
REVISITED_SHARE = 0.10  # of comments: observed again with other counts
DUPLICATE_SHARE = 0.01  # of rows: written twice, value for value
CHANNEL_EMPTY_SHARE, CHANNEL_ABSENT_SHARE = (
    0.15,
    0.15,
)  # of comment rows: the channel is known by the video only
SENTIMENT_NOISE = 0.05  # of labels: another mood than the author's
SPAM_NOISE = 0.006  # of labels: spam called ham or the other way round

_LIKES_HALF_LIFE_HOURS = 2  # at this age half of a comment's likes are there
_LABEL_DELAY = timedelta(days=3)
_LABELLERS = ("reader-1", "reader-2", "reader-3", "reader-4")


@dataclass(frozen=True, slots=True)
class Label:
    """What one labeller said of one comment, in both tasks."""

    comment_id: str
    sentiment: str
    spam: str
    labelled_at: datetime
    labeller: str


def as_instant(at: datetime) -> str:
    """The instant in ISO 8601 with Z, whole seconds; the rest is cut off.

    >>> from datetime import UTC
    >>> as_instant(datetime(2026, 9, 7, 18, 30, 5, 900_000, tzinfo=UTC))
    '2026-09-07T18:30:05Z'
    """
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def build_comment_rows(comments: Sequence[Comment], span: Span, *, rng: Random) -> list[Row]:
    """One row per observation of a comment.

    Parameters
    ----------
    comments
        In order of publication.
    span
        Nothing is observed from its `end_at` on.
    rng
        The only source of chance.

    Returns
    -------
    list of Row
        Ordered by observed_at. A comment comes again when it was edited (another text) or revisited (other
        counts); some rows come twice, alike. like_count and reply_count are those of the moment. channel_id
        is empty or left out in some rows, parent_id is empty for a top-level comment.
    """
    replied_at: defaultdict[str, list[datetime]] = defaultdict(list)
    for comment in comments:
        replied_at[comment.parent_id].append(comment.published_at)
    rows = [
        _blur_channel(_comment_row(comment, text, at, bisect_right(replied_at.get(comment.comment_id, ()), at)), rng)
        for comment in comments
        for at, text in _observations(comment, rng)
        if at < span.end_at
    ]
    doubled = [row for row in rows for _ in range(1 + (rng.random() < DUPLICATE_SHARE))]
    return sorted(doubled, key=lambda row: str(row["observed_at"]))


def _observations(comment: Comment, rng: Random) -> Iterator[tuple[datetime, str]]:
    yield comment.seen_at, comment.text
    text, at = comment.text, comment.seen_at
    if rng.random() < EDITED_SHARE:
        text, at = edit_text(text, rng), at + timedelta(hours=rng.randrange(1, 72))
        yield at, text
    if rng.random() < REVISITED_SHARE:
        yield at + timedelta(hours=rng.randrange(4, 120), seconds=rng.randrange(3600)), text


def _comment_row(comment: Comment, text: str, at: datetime, reply_count: int) -> Row:
    age_hours = (at - comment.published_at) / timedelta(hours=1)
    return {
        "comment_id": comment.comment_id,
        "channel_id": comment.video.channel.channel_id,
        "video_id": comment.video.video_id,
        "parent_id": comment.parent_id,
        "author_id": comment.author,
        "text": text,
        "published_at": as_instant(comment.published_at),
        "observed_at": as_instant(at),
        "like_count": int(comment.final_like_count * age_hours / (age_hours + _LIKES_HALF_LIFE_HOURS)),
        "reply_count": reply_count,
    }


def _blur_channel(row: Row, rng: Random) -> Row:
    chance = rng.random()
    if chance < CHANNEL_EMPTY_SHARE:
        row["channel_id"] = ""
    elif chance < CHANNEL_EMPTY_SHARE + CHANNEL_ABSENT_SHARE:
        del row["channel_id"]
    return row


def build_video_rows(videos: Sequence[Video], comments: Sequence[Comment], *, span: Span) -> list[Row]:
    """One row per video and observation: when it is first known, then weekly; counts never shrink.

    Parameters
    ----------
    videos, comments
        All of the history; comments in order of publication.
    span
        Older videos are first observed a day before its start, new ones at their publication.

    Returns
    -------
    list of Row
        Ordered by observed_at, then video_id. The counts are a function of the video's age and comments.
    """
    commented_at: defaultdict[str, list[datetime]] = defaultdict(list)
    for comment in comments:
        commented_at[comment.video.video_id].append(comment.published_at)
    rows = [
        _video_row(video, at, bisect_right(commented_at[video.video_id], at))
        for video in videos
        for at in _every(7, max(video.published_at, span.start_at - timedelta(days=1)), span.end_at)
    ]
    return sorted(rows, key=lambda row: (str(row["observed_at"]), str(row["video_id"])))


def _video_row(video: Video, at: datetime, comment_count: int) -> Row:
    age_days = (at - video.published_at) / timedelta(days=1)
    view_count = int(0.7 * video.channel.subscriber_count * video.pull * age_days / (age_days + 9))
    return {
        "video_id": video.video_id,
        "channel_id": video.channel.channel_id,
        "title": video.title,
        "published_at": as_instant(video.published_at),
        "observed_at": as_instant(at),
        "view_count": view_count,
        "like_count": int(view_count * (0.02 + video.pull / 50)),
        "comment_count": view_count // 700 + comment_count,
    }


def build_channel_rows(channels: Sequence[Channel], videos: Sequence[Video], *, span: Span) -> list[Row]:
    """One row per channel and observation, every third day from a day before the span.

    Returns
    -------
    list of Row
        Ordered by observed_at, then channel_id. Subscribers grow, and leave again in the drifting week.
    """
    rows = [
        _channel_row(channel, [video for video in videos if video.channel == channel], at, span)
        for channel in channels
        for at in _every(3, span.start_at - timedelta(days=1), span.end_at)
    ]
    return sorted(rows, key=lambda row: (str(row["observed_at"]), str(row["channel_id"])))


def _channel_row(channel: Channel, own_videos: Sequence[Video], at: datetime, span: Span) -> Row:
    age_days = (at - span.start_at).days
    lost_days = max(0, (at - span.drift_at).days)  # people leave in the drifting week
    return {
        "channel_id": channel.channel_id,
        "title": channel.title,
        "observed_at": as_instant(at),
        "subscriber_count": channel.subscriber_count * (1000 + 3 * age_days - 12 * lost_days) // 1000,
        "view_count": channel.subscriber_count * (900 + 4 * age_days) // 4,
        "video_count": sum(video.published_at <= at for video in own_videos),
    }


def _every(days: int, first_at: datetime, end_at: datetime) -> Iterator[datetime]:
    at = first_at
    while at < end_at:
        yield at
        at += timedelta(days=days)


def build_labels(comments: Sequence[Comment], share: float, *, span: Span, rng: Random) -> list[Label]:
    """The labels given within the span, in order of time.

    Parameters
    ----------
    comments
        All of the history.
    share
        Of comments that get a label, 0 to 1. Labels due after the span's end are not there yet.
    span
        Labels come up to three days after the comment was first observed.
    rng
        The only source of chance.

    Returns
    -------
    list of Label
        At most one per comment, ordered by labelled_at, then comment_id. Spam counts as neutral.
        SENTIMENT_NOISE and SPAM_NOISE of them are wrong.
    """
    labels = [_label(comment, rng) for comment in comments if rng.random() < share]
    due = [label for label in labels if label.labelled_at < span.end_at]
    return sorted(due, key=lambda label: (label.labelled_at, label.comment_id))


def _label(comment: Comment, rng: Random) -> Label:
    mood = "neutral" if comment.mood == SPAM else comment.mood
    is_called_spam = (comment.mood == SPAM) != (rng.random() < SPAM_NOISE)
    return Label(
        comment_id=comment.comment_id,
        sentiment=rng.choice([other for other in MOODS if other != mood]) if rng.random() < SENTIMENT_NOISE else mood,
        spam=SPAM if is_called_spam else "ham",
        labelled_at=comment.seen_at + _LABEL_DELAY * rng.random(),
        labeller=rng.choice(_LABELLERS),
    )
