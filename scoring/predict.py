"""From features to probabilities, by one model version; rows at which the model fails are told apart from the rest.

A table in, a value out: reading features and writing scores is the worker's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feature_repo.errors import Refused
from training.model import MatrixSpec, build_matrix, load_pipeline, score_matrix

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]

# When so many rows of one table fail, it is the model that is broken, not the rows.
_MOST_FAILURES: Final = 1_000
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Model:
    """A model version at work: its fitted pipeline, and what is needed to use it."""

    version: str
    pipeline: "Pipeline"
    matrix: MatrixSpec
    classes: tuple[str, ...]
    feature_service: str
    abstain_below: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Features and their probabilities, shape (rows, classes); and the rows at which the model failed, and why."""

    features: pa.Table
    probabilities: Floats
    failed: pa.Table
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    rows: pa.Table
    probabilities: Floats | None
    reason: str = ""


def load_model(version: str, *, pipeline: Path, descriptor: Path) -> Model:
    """Load a version from the file of its pipeline and that of all that is said about it."""
    said: Mapping[str, Any] = json.loads(descriptor.read_text(encoding="utf-8"))
    return Model(
        version=version,
        pipeline=load_pipeline(pipeline),
        matrix=MatrixSpec.from_json(said["matrix"]),
        classes=tuple(said["classes"]),
        feature_service=said["feature_service"],
        abstain_below=said["abstain_below"],
    )


def score_rows(model: Model, features: pa.Table) -> Scored:
    """Score the rows of a feature table, in their order; a row at which the model fails takes no other with it.

    Raises
    ------
    Refused
        If more than 1,000 rows fail: then the model is broken, not the rows.
    """
    pieces = list(_score_pieces(model, features, []))
    found = [piece.probabilities for piece in pieces if piece.probabilities is not None]
    failed = [piece for piece in pieces if piece.probabilities is None]
    nothing = features.slice(0, 0)
    return Scored(
        features=pa.concat_tables([nothing, *(piece.rows for piece in pieces if piece.probabilities is not None)]),
        probabilities=np.concatenate([np.zeros((0, len(model.classes))), *found]),
        failed=pa.concat_tables([nothing, *(piece.rows for piece in failed)]),
        reasons=tuple(piece.reason for piece in failed),
    )


def _score_pieces(model: Model, rows: pa.Table, failures: list[str]) -> Iterator[_Piece]:
    """Score a table; where that fails, halve it, until the rows at fault stand alone."""
    try:
        yield _Piece(rows, _predict(model, rows))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a pipeline raises at a row is why it has no score
        if len(rows) > 1:
            middle = len(rows) // 2
            yield from _score_pieces(model, rows.slice(0, middle), failures)
            yield from _score_pieces(model, rows.slice(middle), failures)
        else:
            failures.append(f"{type(error).__name__}: {error}"[:_LONGEST_REASON])
            _check_failures(model, failures)
            yield _Piece(rows, None, failures[-1])


def _predict(model: Model, rows: pa.Table) -> Floats:
    probabilities = score_matrix(model.pipeline, build_matrix(rows, model.matrix), len(model.classes))
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not a finite number")
    return probabilities


def _check_failures(model: Model, failures: list[str]) -> None:
    if len(failures) > _MOST_FAILURES:
        raise Refused(
            f"version {model.version} fails at more than {_MOST_FAILURES} comments, the last time with "
            f"{failures[-1]!r}: it is the version that is broken, not the comments. Nothing was published; roll back, "
            "or train anew"
        )
