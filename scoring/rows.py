"""Rows of `scores.<model>` and `monitoring.unscored`, built from what a model found. Workers import this module."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from scoring.plan import ScorePlan
    from scoring.predict import Model, Scored

_INSTANT: Final = pa.timestamp("us", tz="UTC")
_CARRIED: Final = ("comment_id", "text_id", "channel_id", "video_id", "published_at")


def build_scores(plan: "ScorePlan", model: "Model", scored: "Scored") -> pa.Table:
    """Build the rows of `scores.<model>`, one per row that was scored, in their order.

    The label is the most probable class; ties go to the class that the model lists first.
    """
    probabilities = scored.probabilities
    best = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(best)), best]
    columns = {
        **{name: scored.features[name] for name in _CARRIED},
        "label": pa.array(model.classes, pa.string()).take(pa.array(best)),
        "confidence": pa.array(confidence),
        "is_abstained": pa.array(confidence < model.abstain_below),
        **{f"p_{name}": pa.array(probabilities[:, i]) for i, name in enumerate(model.classes)},
    }
    lineage = {
        "model_version": model.version,
        "feature_service": model.feature_service,
        "data_version": plan.data_version,
        "run_id": plan.run_id,
        "scored_at": pa.scalar(plan.started_at, _INSTANT),
    }
    return pa.table(columns | _repeat(lineage, len(best)))


def build_unscored(plan: "ScorePlan", model: "Model", scored: "Scored") -> pa.Table:
    """Build the rows of `monitoring.unscored`, one per row at which the model failed."""
    failed = scored.failed
    lineage = {
        "run_id": plan.run_id,
        "model": plan.request.model,
        "model_version": model.version,
        "failed_at": pa.scalar(plan.started_at, _INSTANT),
    }
    columns = {name: failed[name] for name in ("comment_id", "text_id", "channel_id")}
    return pa.table(_repeat(lineage, len(failed)) | columns | {"reason": pa.array(scored.reasons, pa.string())})


def _repeat(values: dict[str, Any], rows: int) -> dict[str, pa.Array]:
    return {name: pa.repeat(value, rows) for name, value in values.items()}
