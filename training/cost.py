"""What a model costs where it is used: seconds to predict, and the size of its file.

How much is too much is for the gate to say.
"""

from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING, Final

from training.model import build_matrix, score_matrix

if TYPE_CHECKING:
    import pyarrow as pa
    from sklearn.pipeline import Pipeline

    from training.model import MatrixSpec

_REPEATS: Final = 5
_MOST_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds for 1,000 rows, from stored features to probabilities, and bytes of the model's file."""

    seconds_per_1000_rows: float
    file_bytes: int


def measure_cost(pipeline: "Pipeline", table: "pa.Table", matrix: "MatrixSpec") -> Cost:
    """Measure a pipeline on a feature table, or on its first 5,000 rows.

    Processor time, and the best of five: a busy machine must not refuse a model.
    """
    import skops.io  # noqa: PLC0415 - pulls in all of scikit-learn

    some = table.slice(0, _MOST_ROWS)
    best = min(_time_once(pipeline, some, matrix) for _ in range(_REPEATS))
    return Cost(best * 1000 / max(1, len(some)), len(skops.io.dumps(pipeline)))


def _time_once(pipeline: "Pipeline", table: "pa.Table", matrix: "MatrixSpec") -> float:
    started = process_time()
    score_matrix(pipeline, build_matrix(table, matrix))
    return process_time() - started
