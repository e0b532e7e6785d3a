"""What was watched: `monitoring.*`."""

from typing import Final

from feature_repo.tables.columns import BIGINT, BOOLEAN, DAY, DOUBLE, INSTANT, NOT_NEGATIVE, SHARE, TEXT, column, table

DRIFT: Final = table(
    "monitoring.drift",
    "Drift checks: one row per column and window.",
    ("run_id", "column_name", "kind"),
    {
        "run_id": column(TEXT, "Monitor run."),
        "model": column(TEXT, "Model that is watched."),
        "checked_at": column(INSTANT, "When it was checked (UTC)."),
        "window_from": column(INSTANT, "Start of the current window (inclusive, UTC)."),
        "window_to": column(INSTANT, "End of the current window (exclusive, UTC)."),
        "column_name": column(TEXT, "Feature or prediction column."),
        "kind": column(TEXT, "data or prediction; quality: its nulls; day, predicted day: the newest day of either."),
        "method": column(TEXT, "Distance that was measured: wasserstein, jensenshannon, null_share or newest_day."),
        "score": column(DOUBLE, "The distance between reference and current window."),
        "threshold": column(DOUBLE, "From where on it counts as drift; set from permuted history, see is_calibrated."),
        "is_drifted": column(BOOLEAN, "Whether the threshold is reached."),
        "reference_rows": column(BIGINT, "Sampled rows of the reference window with a value."),
        "current_rows": column(BIGINT, "Sampled rows of the current window with a value."),
        "report": column(TEXT, "Name of the HTML report under reports/."),
        "is_calibrated": column(
            BOOLEAN,
            "Whether the threshold is that of permuted history; null in rows of releases that had none.",
            nullable=True,
        ),
    },
)

FEATURE_LOG: Final = table(
    "monitoring.feature_log",
    "A sample of the features as they were used for scoring: one row per sampled score.",
    ("run_id", "comment_id", "text_id"),
    {
        "run_id": column(TEXT, "Run that scored the row."),
        "model": column(TEXT, "Model that was used."),
        "model_version": column(TEXT, "Version of the model."),
        "feature_service": column(TEXT, "Feature service the features came from."),
        "data_version": column(BIGINT, "Data version the features were read at."),
        "comment_id": column(TEXT, "Id of the comment."),
        "text_id": column(TEXT, "Hash of the text that was scored."),
        "channel_id": column(TEXT, "Channel of the comment when it was scored; null if unknown.", nullable=True),
        "video_id": column(TEXT, "Video of the comment; null if unknown.", nullable=True),
        "event_timestamp": column(INSTANT, "Instant the features were looked up for (UTC)."),
        "features": column(TEXT, "Feature values, a JSON object; of token ids only their SHA-256."),
    },
)
UNSCORED: Final = table(
    "monitoring.unscored",
    "Comments at which a model failed, and which therefore have no score by it: one row per run and text.",
    ("run_id", "comment_id", "text_id", "model_version"),
    {
        "run_id": column(TEXT, "Run that tried; `scorelake backfill` tries again."),
        "model": column(TEXT, "Model that was used."),
        "model_version": column(TEXT, "Version of the model."),
        "failed_at": column(INSTANT, "When the run began (UTC)."),
        "comment_id": column(TEXT, "Id of the comment."),
        "text_id": column(TEXT, "Hash of the text that could not be scored."),
        "channel_id": column(TEXT, "Channel of the comment; null if unknown.", nullable=True),
        "reason": column(TEXT, "What the model raised."),
    },
)
SKEW: Final = table(
    "monitoring.skew",
    "Skew checks: one row per feature and way in which its values were found again.",
    ("run_id", "path", "feature"),
    {
        "run_id": column(TEXT, "Run of the check."),
        "model": column(TEXT, "Model whose features are compared."),
        "checked_at": column(INSTANT, "When it was checked (UTC)."),
        "path": column(
            TEXT,
            "lake: as used, against the lake now at their data version; text: against the text itself; "
            "online: the online store against the lake at the store's instant.",
        ),
        "feature": column(TEXT, "Feature."),
        "rows_compared": column(BIGINT, "Values that were compared."),
        "rows_differing": column(BIGINT, "Values that differ."),
        "example": column(
            TEXT, "One that differs: its key and both values, a JSON object; null if none.", nullable=True
        ),
    },
)
PERFORMANCE: Final = table(
    "monitoring.performance",
    "How right scores were whose label came later: one row per version, week of the labels and slice. The label of a "
    "comment is its last one, the score the one that was in force when it was given.",
    ("model", "model_version", "week_on", "slice"),
    {
        "run_id": column(TEXT, "Monitor run that counted last."),
        "model": column(TEXT, "Model."),
        "model_version": column(TEXT, "Version that gave the scores."),
        "week_on": column(DAY, "Monday of the ISO week in which the labels were given (UTC)."),
        "slice": column(TEXT, "all, or the name of one of the model's slices."),
        "label_count": column(BIGINT, "Labelled comments.", NOT_NEGATIVE),
        "group_count": column(BIGINT, "Videos they are of; a comment without one counts for itself.", NOT_NEGATIVE),
        "accuracy": column(DOUBLE, "Share of the labels that the scores have, 0 to 1.", SHARE),
        "accuracy_low": column(DOUBLE, "Lower end of its interval, 95 %, by resampling videos.", SHARE),
        "accuracy_high": column(DOUBLE, "Upper end of the same interval.", SHARE),
        "macro_f1": column(DOUBLE, "Mean of F1 over the classes that occur, 0 to 1.", SHARE),
        "macro_f1_low": column(DOUBLE, "Lower end of its interval, 95 %, by resampling videos.", SHARE),
        "macro_f1_high": column(DOUBLE, "Upper end of the same interval.", SHARE),
        "promised_accuracy": column(DOUBLE, "Accuracy on held-out rows when the version was registered.", SHARE),
        "is_judged": column(BOOLEAN, "Whether there are enough labels and videos for a verdict."),
        "is_violated": column(
            BOOLEAN, "Whether it is judged, and even the upper end of the interval is below what was promised."
        ),
        "counted_at": column(INSTANT, "When it was counted (UTC)."),
    },
)

CHECKS: Final = table(
    "monitoring.checks",
    "What is counted and compared with its own history: one row per run and check.",
    ("run_id", "check_name"),
    {
        "run_id": column(TEXT, "Monitor run."),
        "check_name": column(
            TEXT,
            "volume: comments seen in a day; refused_rows: rows quarantined in a day; throughput: rows a second of a "
            "day's scoring; freshness: hours since the newest comment.",
        ),
        "model": column(TEXT, "Model it is about; null if about the comments of all.", nullable=True),
        "checked_at": column(INSTANT, "When it was checked (UTC)."),
        "window_from": column(INSTANT, "Start of what was counted (inclusive, UTC)."),
        "window_to": column(INSTANT, "End of what was counted (exclusive, UTC)."),
        "value": column(DOUBLE, "What was found; null if there was nothing.", nullable=True),
        "expected": column(
            DOUBLE, "What is usual, for this weekday; null if there is too little history.", nullable=True
        ),
        "low": column(DOUBLE, "Least value that is no violation; null if none is too small.", nullable=True),
        "high": column(DOUBLE, "Greatest value that is no violation; null if none is too great.", nullable=True),
        "is_judged": column(BOOLEAN, "Whether there is history enough for a verdict."),
        "is_violated": column(BOOLEAN, "Whether it is judged, and the value is outside of low and high."),
    },
)

TABLES: Final = (DRIFT, FEATURE_LOG, UNSCORED, SKEW, PERFORMANCE, CHECKS)
