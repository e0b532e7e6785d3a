"""What was said: `scores.*`, two tables for each model, and the summaries of all models' scores in force."""

from collections.abc import Iterable
from typing import Final

import pandera.pandas as pa

from feature_repo.tables.columns import BIGINT, BOOLEAN, DAY, DOUBLE, INSTANT, NOT_NEGATIVE, SHARE, TEXT, column, table

_FIGURES: Final = {
    "comment_count": column(
        BIGINT, "Comments with a score in force, whatever their label: the same in each label's row.", NOT_NEGATIVE
    ),
    "label_count": column(BIGINT, "Those of them that have the label; 0 if none has.", NOT_NEGATIVE),
    "label_share": column(DOUBLE, "label_count / comment_count, 0 to 1.", SHARE),
    "label_share_low": column(
        DOUBLE, "Lower end of the Wilson interval of label_share, 95 %, as if comments were independent.", SHARE
    ),
    "label_share_high": column(DOUBLE, "Upper end of the same interval.", SHARE),
    "abstained_share": column(
        DOUBLE, "Share of the comments with too low a confidence to act on: the same in each label's row.", SHARE
    ),
    "mood": column(
        DOUBLE,
        "Mean of p_positive - p_negative over the comments, -1 to 1: the same in each label's row; null for a model "
        "without these classes.",
        nullable=True,
    ),
}
CHANNEL_DAILY: Final = table(
    "scores.channel_daily",
    "The scores in force by channel and day: one row per label of the model. Comments without a channel or an "
    "instant of publication are in no row.",
    ("model", "channel_id", "published_on", "label"),
    {
        "model": column(TEXT, "Model."),
        "channel_id": column(TEXT, "Channel of the comments."),
        "published_on": column(DAY, "Day on which the comments were written (UTC)."),
        "label": column(TEXT, "Class of the model."),
        **_FIGURES,
    },
)
VIDEO_SUMMARY: Final = table(
    "scores.video_summary",
    "The scores in force by video: one row per label of the model. Comments without a video are in no row.",
    ("model", "video_id", "label"),
    {
        "model": column(TEXT, "Model."),
        "video_id": column(TEXT, "Video of the comments."),
        "label": column(TEXT, "Class of the model."),
        "channel_id": column(TEXT, "Channel of the video; null if unknown.", nullable=True),
        "first_published_at": column(
            INSTANT, "When the first of the comments was written (UTC); null if unknown.", nullable=True
        ),
        "last_published_at": column(
            INSTANT, "When the last of them was written (UTC); null if unknown.", nullable=True
        ),
        **_FIGURES,
    },
)

TABLES: Final = (CHANNEL_DAILY, VIDEO_SUMMARY)


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
