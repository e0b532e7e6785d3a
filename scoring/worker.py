"""The work on one partition: retrieve features, build the matrix, predict, write one Parquet file.

A worker imports DuckDB, Arrow, NumPy, SciPy and scikit-learn, and nothing heavier. What becomes of the
file is `publish`'s to say.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import Unavailable
from feature_repo.expired import find_expired
from feature_repo.lake import Lake, read_lake
from scoring.feature_log import build_feature_log
from training.model import MatrixSpec, build_matrix, load_pipeline, score_matrix

if TYPE_CHECKING:
    import duckdb

    from scoring.plan import Partition, ScorePlan

_INSTANT: Final = pa.timestamp("us", tz="UTC")
_EXPIRED: Final = b"rows_expired"
_CARRIED: Final = ("comment_id", "text_id", "channel_id", "video_id", "published_at")


@dataclass(frozen=True, slots=True)
class PartitionReceipt:
    """What came of a partition; `seconds` per stage are empty if the file was there from an earlier try.

    `rows` were scored; `rows_expired` were not, because their text had expired before.
    """

    index: int
    file: str
    rows: int
    rows_expired: int
    seconds: dict[str, float]


def score_partition(plan: "ScorePlan", partition: "Partition") -> PartitionReceipt:
    """Score one partition into its staged file; a file that is already there is left as it is."""
    file = Path(partition.file)
    if file.exists():
        found = pq.read_metadata(file)
        rows_expired = int((found.metadata or {}).get(_EXPIRED, 0))
        return PartitionReceipt(partition.index, str(file), found.num_rows, rows_expired, seconds={})
    started = perf_counter()
    with read_lake(Lake(Path(plan.home))) as connection:
        features, rows_expired = _read_features(connection, plan, partition)
    read = perf_counter()
    scores = build_scores(plan, features)
    predicted = perf_counter()
    _write_whole(build_feature_log(plan, features), locate_log(file))  # before the scores: their file ends the work
    _write_whole(scores.replace_schema_metadata({_EXPIRED: str(rows_expired)}), file)
    written = perf_counter()
    seconds = {"read": read - started, "predict": predicted - read, "write": written - predicted}
    return PartitionReceipt(partition.index, str(file), scores.num_rows, rows_expired, seconds)


def locate_log(file: Path) -> Path:
    """Where the sample of the features of a partition is staged, beside its scores."""
    return file.with_name(f"{file.stem}-features.parquet")


def build_scores(plan: "ScorePlan", features: pa.Table) -> pa.Table:
    """Build the rows of `scores.<model>` for retrieved features, one row per row, in their order.

    The label is the most probable class; ties go to the class that the model lists first.
    """
    classes = plan.descriptor["classes"]
    pipeline = _load(plan.pipeline_path)
    matrix = build_matrix(features, MatrixSpec.from_json(plan.descriptor["matrix"]))
    probabilities = score_matrix(pipeline, matrix, len(classes))
    best = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(best)), best]
    columns = {
        **{name: features[name] for name in _CARRIED},
        "label": pa.array(classes, pa.string()).take(pa.array(best)),
        "confidence": pa.array(confidence),
        "is_abstained": pa.array(confidence < plan.descriptor["abstain_below"]),
        **{f"p_{name}": pa.array(probabilities[:, i]) for i, name in enumerate(classes)},
        **_build_lineage(plan, rows=features.num_rows),
    }
    return pa.table(columns)


def _read_features(
    connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan", partition: "Partition"
) -> tuple[pa.Table, int]:
    """The rows of a partition that can be scored, and the number of those whose text has expired."""
    column = MatrixSpec.from_json(plan.descriptor["matrix"]).token_column
    features = connection.execute(partition.sql).to_arrow_table()
    is_expired = find_expired(connection, features, column)
    kept = features.filter(pa.array(~is_expired))
    if missing := kept.column(column).null_count:
        raise Unavailable(
            f"{missing} of {len(features)} owed comments have no {column}, though their text is there; run "
            "`scorelake materialize`, then score"
        )
    return kept, int(is_expired.sum())


@cache
def _load(path: str) -> object:
    return load_pipeline(Path(path))


def _build_lineage(plan: "ScorePlan", *, rows: int) -> dict[str, pa.Array]:
    lineage = {
        "model_version": pa.scalar(plan.model_version),
        "feature_service": pa.scalar(plan.descriptor["feature_service"]),
        "data_version": pa.scalar(plan.owed.data_version),
        "run_id": pa.scalar(plan.run_id),
        "scored_at": pa.scalar(plan.started, _INSTANT),
    }
    return {name: pa.repeat(value, rows) for name, value in lineage.items()}


def _write_whole(rows: pa.Table, file: Path) -> None:
    """Write a file that exists only when it is complete: a kill leaves a draft, which is written anew."""
    draft = file.with_suffix(".draft")
    pq.write_table(rows, draft, compression="zstd")
    draft.rename(file)
