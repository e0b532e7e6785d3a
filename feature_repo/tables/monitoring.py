"""What was watched: `monitoring.*`."""

from typing import Final

from feature_repo.tables.columns import BIGINT, BOOLEAN, DOUBLE, INSTANT, TEXT, column, table

DRIFT: Final = table(
    "monitoring.drift",
    "Drift checks: one row per column and window.",
    ("run_id", "column_name"),
    {
        "run_id": column(TEXT, "Monitor run."),
        "model": column(TEXT, "Model that is watched."),
        "checked_at": column(INSTANT, "When it was checked (UTC)."),
        "window_from": column(INSTANT, "Start of the current window (inclusive, UTC)."),
        "window_to": column(INSTANT, "End of the current window (exclusive, UTC)."),
        "column_name": column(TEXT, "Feature or prediction column."),
        "kind": column(TEXT, "data or prediction."),
        "method": column(TEXT, "Distance that was measured."),
        "score": column(DOUBLE, "The distance between reference and current window."),
        "threshold": column(DOUBLE, "From where on it counts as drift."),
        "is_drifted": column(BOOLEAN, "Whether the threshold is reached."),
        "reference_rows": column(BIGINT, "Sampled rows of the reference window with a value."),
        "current_rows": column(BIGINT, "Sampled rows of the current window with a value."),
        "report": column(TEXT, "Name of the HTML report under reports/."),
    },
)

TABLES: Final = (DRIFT,)
