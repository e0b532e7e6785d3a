"""A sample of the features as they were used, kept to be compared with the same features found another way.

Which rows are kept, and how a value is written, belongs here; comparing is `skew`'s. Workers import this module.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from scoring.plan import ScorePlan
    from scoring.predict import Model

ROWS_PER_BATCH: Final = 50
_CARRIED: Final = ("comment_id", "text_id", "channel_id", "video_id", "event_timestamp")


def build_feature_log(plan: "ScorePlan", model: "Model", features: pa.Table) -> pa.Table:
    """Rows of `monitoring.feature_log`: up to `ROWS_PER_BATCH` of a batch, evenly spread over it."""
    sample = features.take(_spread(features.num_rows, ROWS_PER_BATCH))
    names = [*model.matrix.numeric, *model.matrix.token_columns]
    lineage = {
        "run_id": plan.run_id,
        "model": plan.request.model,
        "model_version": model.version,
        "feature_service": model.feature_service,
        "data_version": plan.data_version,
    }
    columns = {name: pa.repeat(pa.scalar(value), sample.num_rows) for name, value in lineage.items()}
    columns |= {name: sample[name] for name in _CARRIED}
    values = [json.dumps(write_values(row), sort_keys=True) for row in sample.select(names).to_pylist()]
    return pa.table(columns | {"features": pa.array(values, pa.string())})


def write_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Feature values as JSON has them; a list, which is text in disguise, is given as its SHA-256.

    >>> write_values({"count": 3, "tokens": None})
    {'count': 3, 'tokens': None}
    """
    return {name: _digest(value) if isinstance(value, list) else value for name, value in row.items()}


def _digest(values: list[int]) -> str:
    return "sha256:" + hashlib.sha256(np.asarray(values, dtype="<u4").tobytes()).hexdigest()


def _spread(rows: int, wanted: int) -> pa.Array:
    return pa.array(np.unique(np.linspace(0, rows - 1, min(rows, wanted)).astype(np.int64)) if rows else [], pa.int64())
