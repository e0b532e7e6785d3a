"""A small synthetic task, as Arrow tables: tokens lean towards their class, so that a model can learn something."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, split_table
from training.spec import GateBounds, ModelSpec, Slice, read_spec
from training.trial import Trial, run_trial

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES = ("negative", "neutral", "positive")
DIMENSION = 300

BuildTable = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def build_table() -> BuildTable:
    """Builder of feature tables: `hint` is the share of tokens that come from the class of the label."""

    def build(rows: int = 900, groups: int = 60, hint: float = 0.3, seed: int = 1) -> pa.Table:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, rows)
        lengths = rng.integers(3, 12, rows)
        tokens = [
            np.where(rng.random(n) < hint, 100 * label + rng.integers(0, 100, n), rng.integers(0, 300, n)).tolist()
            for label, n in zip(labels, lengths, strict=True)
        ]
        instants = [
            NOW - timedelta(days=int(days), hours=int(row % 24)) for row, days in enumerate(rng.integers(1, 90, rows))
        ]
        return pa.table(
            {
                "comment_id": [f"c{row:05}" for row in range(rows)],
                "text_id": [f"t{row:05}" for row in range(rows)],
                "video_id": [f"v{group}" for group in rng.integers(0, groups, rows)],
                "event_timestamp": pa.array(instants, pa.timestamp("us", "UTC")),
                "ingest_seq": pa.array([1] * rows, pa.int64()),
                "label": [CLASSES[label] for label in labels],
                "token_ids_v1": pa.array(tokens, pa.list_(pa.uint32())),
                "text_chars": pa.array(lengths * 5, pa.int64()),
                "is_reply": pa.array(rng.random(rows) < 0.2),
            }
        )

    return build


@pytest.fixture(scope="session")
def service() -> ServiceDefinition:
    features = ("token_ids_v1", "text_chars", "is_reply")
    return ServiceDefinition("sentiment_v1", features, {"service": "sentiment_v1"}, "5e" * 32)


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return replace(
        read_spec("sentiment"),
        token_columns=("token_ids_v1",),
        token_dimension=DIMENSION,
        gate=GateBounds(min_macro_f1=0.4, min_slice_rows=50),
        slices=(Slice("short text", "text_chars", below=30), Slice("reply", "is_reply", at_least=1)),
    )


@pytest.fixture(scope="session")
def training_set(build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition) -> TrainingSet:
    return split_table(build_table(), spec, service, data_version=1, as_of=NOW)


@pytest.fixture(scope="session")
def trial(training_set: TrainingSet, spec: ModelSpec) -> Trial:
    return run_trial(training_set, spec, spec.recipe)
