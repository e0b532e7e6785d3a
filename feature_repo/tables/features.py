"""What is computed from it: `features.*`, append-only, each row placed in time."""

from typing import Final

import pandera.pandas as pa

from feature_repo.tables.columns import (
    BIGINT,
    BOOLEAN,
    DATA_VERSION,
    DOUBLE,
    FEATURE_TIMES,
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
        "word_count": column(BIGINT, "Words: runs of letters, digits and apostrophes.", NOT_NEGATIVE),
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
        "is_reply": column(BOOLEAN, "Whether the comment answers another."),
        "first_like_count": column(
            BIGINT, "Likes when the text was first seen; null if not told or its time is imputed.", nullable=True
        ),
        "token_ids_v1": column(TOKENS, "Hashed tokens, 0 to 1,048,575, in order of appearance; text in disguise."),
        **DATA_VERSION,
    },
)
CHANNEL_FEATURES: Final = table(
    "features.channel_features",
    "Windows over a channel's comments and its last known statistics, on an hourly grid.",
    ("channel_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "channel_id": column(TEXT, "Id of the channel."),
        **FEATURE_TIMES,
        "comment_count_1d": column(BIGINT, "Comments published in the last day and known by then.", NOT_NEGATIVE),
        "comment_count_7d": column(BIGINT, "Comments published in the last 7 days and known by then.", NOT_NEGATIVE),
        "comment_count_30d": column(BIGINT, "Comments published in the last 30 days and known by then.", NOT_NEGATIVE),
        "reply_share_7d": column(DOUBLE, "Replies among them, 0 to 1; null without comments.", SHARE, nullable=True),
        "capital_share_7d": column(
            DOUBLE, "Mean capital_share of them, 0 to 1; null without comments.", SHARE, nullable=True
        ),
        "url_share_7d": column(
            DOUBLE, "Share of them with a link, 0 to 1; null without comments.", SHARE, nullable=True
        ),
        "subscriber_count": column(BIGINT, "Last known subscribers; null if unknown or imputed.", nullable=True),
        "channel_view_count": column(BIGINT, "Last known views; null if unknown or imputed.", nullable=True),
        "video_count": column(BIGINT, "Last known videos; null if unknown or imputed.", nullable=True),
        **DATA_VERSION,
    },
)

TABLES: Final = (COMMENT_FEATURES, CHANNEL_FEATURES)
