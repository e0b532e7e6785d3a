"""What the sources said: `raw.*`, append-only."""

from typing import Final

import pandera.pandas as pa

from feature_repo.tables.columns import (
    BATCH,
    BIGINT,
    BOOLEAN,
    ID,
    INSTANT,
    NOT_NEGATIVE,
    OBSERVED_AT,
    TEXT,
    TEXTS,
    column,
    table,
)

COMMENTS: Final = table(
    "raw.comments",
    "Comments: one row per text that a comment has had.",
    ("comment_id", "text_id"),
    {
        "comment_id": column(TEXT, "Id of the comment at its source.", ID),
        "text_id": column(TEXT, "First 32 hex digits of the SHA-256 of the text."),
        "channel_id": column(
            TEXT, "Channel, if the source told; otherwise resolved through the video.", ID, nullable=True
        ),
        "video_id": column(TEXT, "Video; null if the source told only a channel.", ID, nullable=True),
        "parent_id": column(TEXT, "Comment that this one answers; null for a top-level comment.", ID, nullable=True),
        "author_id": column(TEXT, "Keyed hash (HMAC-SHA-256) of the author; null if unknown.", nullable=True),
        "text": column(
            TEXT,
            "The text as seen, 1 to 10,000 characters; null once the retention of its source has ended.",
            pa.Check.str_length(1, 10_000, error="length"),
            expires=True,
        ),
        "published_at": column(
            INSTANT, "When the comment was written (UTC); null if the source does not say.", nullable=True
        ),
        **OBSERVED_AT,
        **BATCH,
    },
)
COMMENT_COUNTS: Final = table(
    "raw.comment_counts",
    "Counts of a comment: one row per observed change.",
    ("comment_id", "observed_at"),
    {
        "comment_id": column(TEXT, "Id of the comment at its source.", ID),
        **OBSERVED_AT,
        "like_count": column(BIGINT, "Likes; null if not told.", NOT_NEGATIVE, nullable=True),
        "reply_count": column(BIGINT, "Replies; null if not told.", NOT_NEGATIVE, nullable=True),
        **BATCH,
    },
)
VIDEOS: Final = table(
    "raw.videos",
    "Videos as observed, with the channel they belong to.",
    ("video_id", "observed_at"),
    {
        "video_id": column(TEXT, "Id of the video at its source.", ID),
        "channel_id": column(TEXT, "Channel that published the video.", ID),
        "title": column(TEXT, "Title as seen; null if not told.", nullable=True),
        "published_at": column(INSTANT, "When the video was published (UTC); null if not told.", nullable=True),
        **OBSERVED_AT,
        "view_count": column(BIGINT, "Views; null if hidden or not told.", NOT_NEGATIVE, nullable=True),
        "like_count": column(BIGINT, "Likes; null if hidden or not told.", NOT_NEGATIVE, nullable=True),
        "comment_count": column(BIGINT, "Comments; null if hidden or not told.", NOT_NEGATIVE, nullable=True),
        **BATCH,
    },
)
CHANNELS: Final = table(
    "raw.channels",
    "Channels as observed.",
    ("channel_id", "observed_at"),
    {
        "channel_id": column(TEXT, "Id of the channel at its source.", ID),
        "title": column(TEXT, "Title as seen; null if not told.", nullable=True),
        **OBSERVED_AT,
        "subscriber_count": column(BIGINT, "Subscribers; null if hidden or not told.", NOT_NEGATIVE, nullable=True),
        "view_count": column(BIGINT, "Views of all videos; null if not told.", NOT_NEGATIVE, nullable=True),
        "video_count": column(BIGINT, "Videos; null if not told.", NOT_NEGATIVE, nullable=True),
        **BATCH,
    },
)
LABELS: Final = table(
    "raw.labels",
    "Labels given to comments.",
    ("comment_id", "task", "labelled_at"),
    {
        "comment_id": column(TEXT, "Id of the labelled comment.", ID),
        "task": column(TEXT, "What was judged; the name of the model that learns it.", ID),
        "label": column(TEXT, "The judgement, one of the classes of the task.", ID),
        "labelled_at": column(INSTANT, "When the label was given (UTC); the instant of ingestion if not told."),
        "labeller": column(TEXT, "Who or what labelled, as the source names it; null if not told.", nullable=True),
        **BATCH,
    },
)
SIGHTINGS: Final = table(
    "raw.sightings",
    "Known texts that were shown again: the retention of a text is counted from its last observation. Only the "
    "newest row of a text and source is kept; no feature rests on it, so it belongs to no data version.",
    ("comment_id", "text_id", "observed_at", "source"),
    {
        "comment_id": column(TEXT, "Id of the comment at its source.", ID),
        "text_id": column(TEXT, "Hash of the text."),
        "observed_at": column(INSTANT, "When the text was seen again, as the source told (UTC)."),
        "source": BATCH["source"],
        "batch_id": BATCH["batch_id"],
    },
)
COMMENT_DELETIONS: Final = table(
    "raw.comment_deletions",
    "Comments that a complete listing of their video no longer had (deleted, hidden or held back): one row per "
    "observed change. Nothing is computed from it, so it belongs to no batch.",
    ("comment_id", "observed_at"),
    {
        "comment_id": column(TEXT, "Comment that was known before.", ID),
        "video_id": column(TEXT, "Its video.", ID),
        "observed_at": column(INSTANT, "End of the listing that showed it (UTC)."),
        "is_deleted": column(BOOLEAN, "True: not shown any more; false: shown again."),
        "run_id": column(TEXT, "Run that listed."),
    },
)
QUARANTINE: Final = table(
    "raw.quarantine",
    "Input rows that failed their contract, whole, with the author hashed.",
    ("batch_id", "file", "position"),
    {
        "batch_id": column(TEXT, "Ingest run that refused the row."),
        "kind": column(TEXT, "What the row was to become: comments, videos, channels or labels."),
        "file": column(TEXT, "Name of the input file."),
        "position": column(BIGINT, "Line (CSV, JSONL) or row (Parquet) in the file, from 1."),
        "reasons": column(TEXTS, "Reason codes: <column>_<what is wrong>."),
        "payload": column(
            TEXT,
            "The row as a JSON object of its source columns, or {'line': ...} if it could not be split; null once "
            "the retention of its source has ended.",
            expires=True,
        ),
        "quarantined_at": column(INSTANT, "When the row was refused (UTC)."),
        "replayed_batch_id": column(TEXT, "Batch in which a replay accepted it; null while it waits.", nullable=True),
    },
)

TABLES: Final = (COMMENTS, COMMENT_COUNTS, VIDEOS, CHANNELS, LABELS, SIGHTINGS, COMMENT_DELETIONS, QUARANTINE)
