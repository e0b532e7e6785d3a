"""What was said: `scores.*`, two tables for each model."""

from collections.abc import Iterable

import pandera.pandas as pa

from feature_repo.tables.columns import BIGINT, BOOLEAN, DOUBLE, INSTANT, SHARE, TEXT, column, table


def build_score_tables(model: str, classes: Iterable[str]) -> tuple[pa.DataFrameSchema, pa.DataFrameSchema]:
    """Declare `scores.<model>` and `scores.<model>_current` for a model with these classes."""
    columns = {
        "comment_id": column(TEXT, "Id of the comment."),
        "text_id": column(TEXT, "Hash of the text that was scored."),
        "channel_id": column(TEXT, "Channel of the comment when it was scored; null if unknown.", nullable=True),
        "video_id": column(TEXT, "Video of the comment; null if unknown.", nullable=True),
        "published_at": column(INSTANT, "When the comment was written (UTC); null if unknown.", nullable=True),
        "label": column(TEXT, f"Most probable class: {', '.join(classes)}."),
        "confidence": column(DOUBLE, "Probability of the label, 0 to 1.", SHARE),
        "is_abstained": column(BOOLEAN, "Whether the confidence is too low to act on the label."),
        **{f"p_{name}": column(DOUBLE, f"Probability of {name}, 0 to 1.", SHARE) for name in classes},
        "model_version": column(TEXT, "Version of the model."),
        "feature_service": column(TEXT, "Feature service the features came from."),
        "data_version": column(BIGINT, "Data version the features were read at."),
        "run_id": column(TEXT, "Run that scored the row; see ops.runs."),
        "scored_at": column(INSTANT, "When the run began (UTC)."),
    }
    history = table(
        f"scores.{model}",
        f"Every score the {model} model has given; append-only.",
        ("comment_id", "text_id", "model_version"),
        columns,
    )
    current = table(
        f"scores.{model}_current",
        f"The {model} score in force: one row per comment, for its latest text.",
        ("comment_id",),
        columns,
    )
    return history, current
