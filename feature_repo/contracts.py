"""The one declaration of every table in the lake: types, keys, units, null meanings and row rules.

The DDL, the comments in the catalog, the quarantine's reasons and the data dictionary are all derived
from here. What a table is filled with, and how, belongs elsewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow

TEXT: Final = pd.ArrowDtype(arrow.string())
BIGINT: Final = pd.ArrowDtype(arrow.int64())
DOUBLE: Final = pd.ArrowDtype(arrow.float64())
BOOLEAN: Final = pd.ArrowDtype(arrow.bool_())
INSTANT: Final = pd.ArrowDtype(arrow.timestamp("us", tz="UTC"))
TEXTS: Final = pd.ArrowDtype(arrow.list_(arrow.string()))
TOKENS: Final = pd.ArrowDtype(arrow.list_(arrow.uint32()))

_SQL_TYPES: Final = {
    TEXT: "varchar",
    BIGINT: "bigint",
    DOUBLE: "double",
    BOOLEAN: "boolean",
    INSTANT: "timestamptz",
    TEXTS: "varchar[]",
    TOKENS: "uinteger[]",
}

# YouTube ids are short; anything longer, or with a control character, is another column read as an id.
_ID: Final = pa.Check.str_matches(r"^[^\x00-\x1f\x7f]{1,128}$", error="malformed")
_NOT_NEGATIVE: Final = pa.Check.ge(0, error="negative")
_SHARE: Final = pa.Check.in_range(0, 1, error="out_of_range")


def _column(dtype: pd.ArrowDtype, description: str, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    return pa.Column(dtype, list(checks), description=description, nullable=nullable)


def _table(name: str, description: str, key: tuple[str, ...], columns: Mapping[str, pa.Column]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        dict(columns), name=name, description=description, unique=list(key), strict=True, ordered=True
    )


_BATCH: Final = {
    "source": _column(TEXT, "Where the row came from, as the ingest named it."),
    "batch_id": _column(TEXT, "Ingest run that brought the row; `ingest --revert` takes it."),
    "ingest_seq": _column(BIGINT, "Number of the committed batch, growing; data version S is all rows up to S."),
}
_OBSERVED_AT: Final = {
    "observed_at": _column(INSTANT, "When the platform first saw it so (UTC)."),
    "is_observed_at_imputed": _column(
        BOOLEAN, "True where the source told no observation time; counts of such rows are never features."
    ),
}
_FEATURE_TIMES: Final = {
    "event_timestamp": _column(INSTANT, "Instant the value describes (UTC)."),
    "created_timestamp": _column(INSTANT, "Instant from which the value was knowable (UTC), never a clock's."),
}
_DATA_VERSION: Final = {
    "ingest_seq": _column(BIGINT, "Greatest ingest_seq among the inputs of the row."),
}

COMMENTS: Final = _table(
    "raw.comments",
    "Comments: one row per text that a comment has had.",
    ("comment_id", "text_id"),
    {
        "comment_id": _column(TEXT, "Id of the comment at its source.", _ID),
        "text_id": _column(TEXT, "First 32 hex digits of the SHA-256 of the text."),
        "channel_id": _column(
            TEXT, "Channel, if the source told; otherwise resolved through the video.", _ID, nullable=True
        ),
        "video_id": _column(TEXT, "Video; null if the source told only a channel.", _ID, nullable=True),
        "parent_id": _column(TEXT, "Comment that this one answers; null for a top-level comment.", _ID, nullable=True),
        "author_id": _column(TEXT, "Keyed hash (HMAC-SHA-256) of the author; null if unknown.", nullable=True),
        "text": _column(
            TEXT, "The text as seen, 1 to 10,000 characters.", pa.Check.str_length(1, 10_000, error="length")
        ),
        "published_at": _column(
            INSTANT, "When the comment was written (UTC); null if the source does not say.", nullable=True
        ),
        **_OBSERVED_AT,
        **_BATCH,
    },
)
COMMENT_COUNTS: Final = _table(
    "raw.comment_counts",
    "Counts of a comment: one row per observed change.",
    ("comment_id", "observed_at"),
    {
        "comment_id": _column(TEXT, "Id of the comment at its source.", _ID),
        **_OBSERVED_AT,
        "like_count": _column(BIGINT, "Likes; null if not told.", _NOT_NEGATIVE, nullable=True),
        "reply_count": _column(BIGINT, "Replies; null if not told.", _NOT_NEGATIVE, nullable=True),
        **_BATCH,
    },
)
VIDEOS: Final = _table(
    "raw.videos",
    "Videos as observed, with the channel they belong to.",
    ("video_id", "observed_at"),
    {
        "video_id": _column(TEXT, "Id of the video at its source.", _ID),
        "channel_id": _column(TEXT, "Channel that published the video.", _ID),
        "title": _column(TEXT, "Title as seen; null if not told.", nullable=True),
        "published_at": _column(INSTANT, "When the video was published (UTC); null if not told.", nullable=True),
        **_OBSERVED_AT,
        "view_count": _column(BIGINT, "Views; null if hidden or not told.", _NOT_NEGATIVE, nullable=True),
        "like_count": _column(BIGINT, "Likes; null if hidden or not told.", _NOT_NEGATIVE, nullable=True),
        "comment_count": _column(BIGINT, "Comments; null if hidden or not told.", _NOT_NEGATIVE, nullable=True),
        **_BATCH,
    },
)
CHANNELS: Final = _table(
    "raw.channels",
    "Channels as observed.",
    ("channel_id", "observed_at"),
    {
        "channel_id": _column(TEXT, "Id of the channel at its source.", _ID),
        "title": _column(TEXT, "Title as seen; null if not told.", nullable=True),
        **_OBSERVED_AT,
        "subscriber_count": _column(BIGINT, "Subscribers; null if hidden or not told.", _NOT_NEGATIVE, nullable=True),
        "view_count": _column(BIGINT, "Views of all videos; null if not told.", _NOT_NEGATIVE, nullable=True),
        "video_count": _column(BIGINT, "Videos; null if not told.", _NOT_NEGATIVE, nullable=True),
        **_BATCH,
    },
)
LABELS: Final = _table(
    "raw.labels",
    "Labels given to comments.",
    ("comment_id", "task", "labelled_at"),
    {
        "comment_id": _column(TEXT, "Id of the labelled comment.", _ID),
        "task": _column(TEXT, "What was judged; the name of the model that learns it.", _ID),
        "label": _column(TEXT, "The judgement, one of the classes of the task.", _ID),
        "labelled_at": _column(INSTANT, "When the label was given (UTC); the instant of ingestion if not told."),
        "labeller": _column(TEXT, "Who or what labelled, as the source names it; null if not told.", nullable=True),
        **_BATCH,
    },
)
QUARANTINE: Final = _table(
    "raw.quarantine",
    "Input rows that failed their contract, whole, with the author hashed.",
    ("batch_id", "file", "position"),
    {
        "batch_id": _column(TEXT, "Ingest run that refused the row."),
        "kind": _column(TEXT, "What the row was to become: comments, videos, channels or labels."),
        "file": _column(TEXT, "Name of the input file."),
        "position": _column(BIGINT, "Line (CSV, JSONL) or row (Parquet) in the file, from 1."),
        "reasons": _column(TEXTS, "Reason codes: <column>_<what is wrong>."),
        "payload": _column(
            TEXT, "The row as a JSON object of its source columns, or {'line': ...} if it could not be split."
        ),
        "quarantined_at": _column(INSTANT, "When the row was refused (UTC)."),
        "replayed_batch_id": _column(TEXT, "Batch in which a replay accepted it; null while it waits.", nullable=True),
    },
)

COMMENT_FEATURES: Final = _table(
    "features.comment_features",
    "Features of a comment's text and of its counts when the text was first seen.",
    ("comment_id", "text_id", "created_timestamp", "ingest_seq"),
    {
        "comment_id": _column(TEXT, "Id of the comment."),
        "text_id": _column(TEXT, "Hash of the text."),
        **_FEATURE_TIMES,
        "text_chars": _column(BIGINT, "Length of the text in characters, 1 to 10,000.", pa.Check.ge(1)),
        "word_count": _column(BIGINT, "Words: runs of letters, digits and apostrophes.", _NOT_NEGATIVE),
        "mean_word_chars": _column(DOUBLE, "Mean length of a word in characters; 0 without words.", _NOT_NEGATIVE),
        "capital_share": _column(DOUBLE, "Capitals among letters, 0 to 1; 0 without letters.", _SHARE),
        "digit_share": _column(DOUBLE, "Digits among characters, 0 to 1.", _SHARE),
        "punctuation_share": _column(DOUBLE, "Punctuation among characters, 0 to 1.", _SHARE),
        "exclamation_count": _column(BIGINT, "Exclamation marks.", _NOT_NEGATIVE),
        "question_count": _column(BIGINT, "Question marks.", _NOT_NEGATIVE),
        "emoji_count": _column(BIGINT, "Pictographs.", _NOT_NEGATIVE),
        "url_count": _column(BIGINT, "Links: http(s)://, www. or an HTML anchor.", _NOT_NEGATIVE),
        "video_time_count": _column(BIGINT, "Times in a video, such as 3:45.", _NOT_NEGATIVE),
        "stretch_count": _column(BIGINT, "Letters repeated three times or more, as in 'sooo'.", _NOT_NEGATIVE),
        "non_latin_share": _column(DOUBLE, "Letters outside the Latin script among letters, 0 to 1.", _SHARE),
        "is_reply": _column(BOOLEAN, "Whether the comment answers another."),
        "first_like_count": _column(
            BIGINT, "Likes when the text was first seen; null if not told or its time is imputed.", nullable=True
        ),
        "token_ids_v1": _column(TOKENS, "Hashed tokens, 0 to 1,048,575, in order of appearance; text in disguise."),
        **_DATA_VERSION,
    },
)
CHANNEL_FEATURES: Final = _table(
    "features.channel_features",
    "Windows over a channel's comments and its last known statistics, on an hourly grid.",
    ("channel_id", "event_timestamp", "created_timestamp", "ingest_seq"),
    {
        "channel_id": _column(TEXT, "Id of the channel."),
        **_FEATURE_TIMES,
        "comment_count_1d": _column(BIGINT, "Comments published in the last day and known by then.", _NOT_NEGATIVE),
        "comment_count_7d": _column(BIGINT, "Comments published in the last 7 days and known by then.", _NOT_NEGATIVE),
        "comment_count_30d": _column(
            BIGINT, "Comments published in the last 30 days and known by then.", _NOT_NEGATIVE
        ),
        "reply_share_7d": _column(DOUBLE, "Replies among them, 0 to 1; null without comments.", _SHARE, nullable=True),
        "capital_share_7d": _column(
            DOUBLE, "Mean capital_share of them, 0 to 1; null without comments.", _SHARE, nullable=True
        ),
        "url_share_7d": _column(
            DOUBLE, "Share of them with a link, 0 to 1; null without comments.", _SHARE, nullable=True
        ),
        "subscriber_count": _column(BIGINT, "Last known subscribers; null if unknown or imputed.", nullable=True),
        "channel_view_count": _column(BIGINT, "Last known views; null if unknown or imputed.", nullable=True),
        "video_count": _column(BIGINT, "Last known videos; null if unknown or imputed.", nullable=True),
        **_DATA_VERSION,
    },
)

RUNS: Final = _table(
    "ops.runs",
    "The ledger: every run, what was owed, what came of it. Watermarks and batch numbers are read from here.",
    ("run_id",),
    {
        "run_id": _column(TEXT, "Id of the run; for an ingest it is the batch_id."),
        "kind": _column(TEXT, "ingest, revert, replay, materialize, train, evaluate, score or monitor."),
        "model": _column(TEXT, "Model the run worked for; null if none.", nullable=True),
        "model_version": _column(TEXT, "Version of the model, resolved once; null if none.", nullable=True),
        "role": _column(TEXT, "production, shadow, canary or backfill for scoring; null otherwise.", nullable=True),
        "started_at": _column(INSTANT, "Start of the run (UTC)."),
        "ended_at": _column(INSTANT, "End of the run (UTC)."),
        "outcome": _column(TEXT, "done, refused or failed."),
        "rows_owed": _column(BIGINT, "Rows the run had to deal with.", _NOT_NEGATIVE, nullable=True),
        "rows_out": _column(BIGINT, "Rows written.", _NOT_NEGATIVE, nullable=True),
        "rows_known": _column(BIGINT, "Rows already in the lake.", _NOT_NEGATIVE, nullable=True),
        "rows_quarantined": _column(BIGINT, "Rows refused.", _NOT_NEGATIVE, nullable=True),
        "watermark_from": _column(BIGINT, "Data version where the work began (exclusive).", nullable=True),
        "data_version": _column(BIGINT, "Data version the run wrote or worked up to (inclusive).", nullable=True),
        "stage_seconds": _column(TEXT, "Seconds per stage, a JSON object.", nullable=True),
        "peak_memory_mib": _column(DOUBLE, "Greatest resident memory of the process, MiB.", nullable=True),
        "details": _column(TEXT, "What else the kind of run has to say, a JSON object.", nullable=True),
    },
)
PROMOTIONS: Final = _table(
    "ops.promotions",
    "Every verdict on a model version: promoted, refused or rolled back, with its reasons.",
    ("decided_at", "model", "version"),
    {
        "decided_at": _column(INSTANT, "When the verdict was given (UTC)."),
        "model": _column(TEXT, "Model."),
        "version": _column(TEXT, "Version that was judged."),
        "action": _column(TEXT, "promoted, refused or rolled_back."),
        "champion_before": _column(TEXT, "Champion before; null if none.", nullable=True),
        "champion_after": _column(TEXT, "Champion after; null if none.", nullable=True),
        "reasons": _column(TEXTS, "One sentence per check of the gate, or the operator's reason."),
        "run_id": _column(TEXT, "Run that asked."),
    },
)
LEASES: Final = _table(
    "ops.leases",
    "Who works for a model's role right now; a lease past its end, or of a dead process, is free.",
    ("name",),
    {
        "name": _column(TEXT, "What is leased: <model>/<role>."),
        "run_id": _column(TEXT, "Run that holds it."),
        "host": _column(TEXT, "Host of the holder."),
        "process_id": _column(BIGINT, "Process of the holder."),
        "acquired_at": _column(INSTANT, "Since when (UTC)."),
        "expires_at": _column(INSTANT, "Until when at most (UTC)."),
    },
)
DRIFT: Final = _table(
    "monitoring.drift",
    "Drift checks: one row per column and window.",
    ("run_id", "column_name"),
    {
        "run_id": _column(TEXT, "Monitor run."),
        "model": _column(TEXT, "Model that is watched."),
        "checked_at": _column(INSTANT, "When it was checked (UTC)."),
        "window_from": _column(INSTANT, "Start of the current window (inclusive, UTC)."),
        "window_to": _column(INSTANT, "End of the current window (exclusive, UTC)."),
        "column_name": _column(TEXT, "Feature or prediction column."),
        "kind": _column(TEXT, "data or prediction."),
        "method": _column(TEXT, "Distance that was measured."),
        "score": _column(DOUBLE, "The distance between reference and current window."),
        "threshold": _column(DOUBLE, "From where on it counts as drift."),
        "is_drifted": _column(BOOLEAN, "Whether the threshold is reached."),
        "reference_rows": _column(BIGINT, "Sampled rows of the reference window with a value."),
        "current_rows": _column(BIGINT, "Sampled rows of the current window with a value."),
        "report": _column(TEXT, "Name of the HTML report under reports/."),
    },
)

TABLES: Final = (
    COMMENTS, COMMENT_COUNTS, VIDEOS, CHANNELS, LABELS, QUARANTINE,
    COMMENT_FEATURES, CHANNEL_FEATURES, RUNS, PROMOTIONS, LEASES, DRIFT,
)  # fmt: skip


def build_score_tables(model: str, classes: Iterable[str]) -> tuple[pa.DataFrameSchema, pa.DataFrameSchema]:
    """Declare `scores.<model>` and `scores.<model>_current` for a model with these classes."""
    columns = {
        "comment_id": _column(TEXT, "Id of the comment."),
        "text_id": _column(TEXT, "Hash of the text that was scored."),
        "channel_id": _column(TEXT, "Channel of the comment when it was scored; null if unknown.", nullable=True),
        "video_id": _column(TEXT, "Video of the comment; null if unknown.", nullable=True),
        "published_at": _column(INSTANT, "When the comment was written (UTC); null if unknown.", nullable=True),
        "label": _column(TEXT, f"Most probable class: {', '.join(classes)}."),
        "confidence": _column(DOUBLE, "Probability of the label, 0 to 1.", _SHARE),
        "is_abstained": _column(BOOLEAN, "Whether the confidence is too low to act on the label."),
        **{f"p_{name}": _column(DOUBLE, f"Probability of {name}, 0 to 1.", _SHARE) for name in classes},
        "model_version": _column(TEXT, "Version of the model."),
        "feature_service": _column(TEXT, "Feature service the features came from."),
        "data_version": _column(BIGINT, "Data version the features were read at."),
        "run_id": _column(TEXT, "Run that scored the row; see ops.runs."),
        "scored_at": _column(INSTANT, "When the run began (UTC)."),
    }
    history = _table(
        f"scores.{model}",
        f"Every score the {model} model has given; append-only.",
        ("comment_id", "text_id", "model_version"),
        columns,
    )
    current = _table(
        f"scores.{model}_current",
        f"The {model} score in force: one row per comment, for its latest text.",
        ("comment_id",),
        columns,
    )
    return history, current


def read_sql_types(table: pa.DataFrameSchema) -> dict[str, str]:
    """DuckDB type of each column of a table, in the order of declaration."""
    return {name: _SQL_TYPES[column.dtype.type] for name, column in table.columns.items()}


def build_dictionary(tables: Iterable[pa.DataFrameSchema]) -> str:
    """Build the data dictionary of some tables as Markdown."""
    return "\n".join(_build_entry(table) for table in tables)


def _build_entry(table: pa.DataFrameSchema) -> str:
    types = read_sql_types(table)
    rows = [
        f"| {name} | {types[name]} | {'yes' if column.nullable else 'no'} | {column.description} |"
        for name, column in table.columns.items()
    ]
    key = ", ".join(table.unique)
    head = [f"## {table.name}", "", f"{table.description} Key: {key}.", "", "| column | type | null | meaning |"]
    return "\n".join([*head, "|---|---|---|---|", *rows, ""])


_PREDICATES: Final[dict[str, str]] = {
    "greater_than_or_equal_to": "{column} >= {min_value}",
    "in_range": "{column} between {min_value} and {max_value}",
    "str_length": "length({column}) between {min_value} and {max_value}",
    "str_matches": "regexp_matches({column}, {pattern})",
    "isin": "{column} in ({allowed_values})",
}


def build_row_rules(table: pa.DataFrameSchema) -> dict[str, str]:
    """Compile the checks of a table into SQL: reason code → condition that is true for a bad row.

    A null breaks only the rule `<column>_missing`, which non-nullable columns have.
    """
    rules = {}
    for name, column in table.columns.items():
        if not column.nullable:
            rules[f"{name}_missing"] = f"{_quote(name)} is null"
        for check in column.checks:
            rules[f"{name}_{check.error}"] = f"not ({_build_predicate(name, check)})"
    return rules


def _build_predicate(column: str, check: Any) -> str:
    values = {key: _literal(value) for key, value in check.statistics.items()}
    return _PREDICATES[check.name].format(column=_quote(column), **values)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_literal(item) for item in value)
    return repr(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"
