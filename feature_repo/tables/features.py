"""What is computed from it: `features.*`, append-only, each row placed in time."""

from typing import Final

import pandera.pandas as pa

from feature_repo.tables.columns import (
    BIGINT,
    BOOLEAN,
    DATA_VERSION,
    DOUBLE,
    FEATURE_TIMES,
    INSTANT,
    NOT_NEGATIVE,
    SHARE,
    TEXT,
    TOKENS,
    column,
    table,
)

COMMENT_FEATURES: Final = table(
    "features.comment_features",
    "Features of a comment's text and of its counts when the text was first seen.",
    ("comment_id", "text_id", "created_timestamp", "ingest_seq"),
    {
        "comment_id": column(TEXT, "Id of the comment."),
        "text_id": column(TEXT, "Hash of the text."),
        **FEATURE_TIMES,
        "text_chars": column(BIGINT, "Length of the text in characters, 1 to 10,000.", pa.Check.ge(1)),
        "word_count": column(BIGINT, "Words: runs of letters, marks and digits with inner apostrophes.", NOT_NEGATIVE),
        "mean_word_chars": column(DOUBLE, "Mean length of a word in characters; 0 without words.", NOT_NEGATIVE),
        "capital_share": column(DOUBLE, "Capitals among letters, 0 to 1; 0 without letters.", SHARE),
        "digit_share": column(DOUBLE, "Digits among characters, 0 to 1.", SHARE),
        "punctuation_share": column(DOUBLE, "Punctuation among characters, 0 to 1.", SHARE),
        "exclamation_count": column(BIGINT, "Exclamation marks.", NOT_NEGATIVE),
        "question_count": column(BIGINT, "Question marks.", NOT_NEGATIVE),
        "emoji_count": column(BIGINT, "Pictographs.", NOT_NEGATIVE),
        "url_count": column(BIGINT, "Links: http(s)://, www. or an HTML anchor.", NOT_NEGATIVE),
        "video_time_count": column(BIGINT, "Times in a video, such as 3:45.", NOT_NEGATIVE),
        "stretch_count": column(BIGINT, "Letters repeated three times or more, as in 'sooo'.", NOT_NEGATIVE),
        "non_latin_share": column(DOUBLE, "Letters outside the Latin script among letters, 0 to 1.", SHARE),
        "english_word_share": column(
            DOUBLE, "The 20 most frequent English function words among words, 0 to 1: a hint of the language.", SHARE
        ),
        "is_reply": column(BOOLEAN, "Whether the comment answers another."),
        "first_like_count": column(
            BIGINT, "Likes when the text was first seen; null if not told or its time is imputed.", nullable=True
        ),
        "earlier_reply_count_30d": column(
            BIGINT,
            "Replies to the same comment, published in the 30 days before this one and known when its text was first "
            "seen: its place in the thread; 0 for a top-level comment; null without a publication time.",
            NOT_NEGATIVE,
            nullable=True,
        ),
        "token_ids_v1": column(
            TOKENS,
            "Hashed tokens, 0 to 1,048,575, in order of appearance; text in disguise, null once the text has expired.",
            expires=True,
        ),
        "prefix_ids_v1": column(
            TOKENS,
            "Hashed first 4 letters of words of 5 and more, then first 6 of words of 7 and more, 0 to 1,048,575; text "
            "in disguise, null once the text has expired.",
            expires=True,
        ),
        **DATA_VERSION,
    },
)

WINDOW_DAYS: Final = (1, 7, 30)


def _build_window(days: int) -> dict[str, pa.Column]:
    known = f"Of the comments published in the last {days} d and known by then:"
    counts = {
        f"comment_count_{days}d": f"Comments published in the last {days} d and known by then.",
        f"author_count_{days}d": f"{known} distinct authors; comments without one do not count.",
        f"like_count_{days}d": f"{known} last known likes, added up; unknown and imputed ones count 0.",
        f"reply_count_{days}d": f"{known} replies.",
    }
    shares = {
        f"capital_share_{days}d": f"{known} mean capital_share, 0 to 1; null without comments.",
        f"url_share_{days}d": f"{known} share with a link, 0 to 1; null without comments.",
    }
    return {name: column(BIGINT, says, NOT_NEGATIVE) for name, says in counts.items()} | {
        name: column(DOUBLE, says, SHARE, nullable=True) for name, says in shares.items()
    }


CHANNEL_FEATURES: Final = table(
    "features.channel_features",
    "Windows over a channel's comments, on an hourly grid: a row for each hour at which a window's content changes.",
    ("channel_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "channel_id": column(TEXT, "Id of the channel."),
        **FEATURE_TIMES,
        **{name: one for days in WINDOW_DAYS for name, one in _build_window(days).items()},
        "newest_leaves_at": column(
            INSTANT,
            "Hour at which the newest of the row's inputs leaves the windows (UTC): no feature, but where the next "
            "materialization goes on.",
            nullable=True,
        ),
        **DATA_VERSION,
    },
)
CHANNEL_STATISTICS: Final = table(
    "features.channel_statistics",
    "Statistics of a channel, one row per observation whose time is known.",
    ("channel_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "channel_id": column(TEXT, "Id of the channel."),
        **FEATURE_TIMES,
        "channel_subscriber_count": column(BIGINT, "Subscribers; null if hidden or not told.", nullable=True),
        "channel_view_count": column(BIGINT, "Views of all its videos; null if not told.", nullable=True),
        "channel_video_count": column(BIGINT, "Videos; null if not told.", nullable=True),
        **DATA_VERSION,
    },
)
VIDEO_STATISTICS: Final = table(
    "features.video_statistics",
    "Statistics of a video, one row per observation whose time is known.",
    ("video_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "video_id": column(TEXT, "Id of the video."),
        **FEATURE_TIMES,
        "video_view_count": column(BIGINT, "Views; null if hidden or not told.", nullable=True),
        "video_like_count": column(BIGINT, "Likes; null if hidden or not told.", nullable=True),
        "video_comment_count": column(BIGINT, "Comments; null if hidden or not told.", nullable=True),
        **DATA_VERSION,
    },
)
CHANNEL_LABELS: Final = table(
    "features.channel_labels",
    "Labels known of a channel's comments: a row for each instant at which they change. A label counts after it was "
    "given, and until it is replaced or the comment gets another text: never at the instant of the text it is on.",
    ("channel_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "channel_id": column(TEXT, "Id of the channel."),
        **FEATURE_TIMES,
        "sentiment_label_count": column(BIGINT, "Comments with a sentiment label.", NOT_NEGATIVE),
        "negative_label_share": column(DOUBLE, "Negative among them, 0 to 1; null if none.", SHARE, nullable=True),
        "positive_label_share": column(DOUBLE, "Positive among them, 0 to 1; null if none.", SHARE, nullable=True),
        "spam_label_count": column(BIGINT, "Comments with a spam label.", NOT_NEGATIVE),
        "spam_label_share": column(DOUBLE, "Spam among them, 0 to 1; null if none.", SHARE, nullable=True),
        **DATA_VERSION,
    },
)

TABLES: Final = (COMMENT_FEATURES, CHANNEL_FEATURES, CHANNEL_STATISTICS, VIDEO_STATISTICS, CHANNEL_LABELS)
