import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import Pipeline

from feature_repo.errors import BadData
from training.model import MatrixSpec, build_matrix, build_pipeline, load_pipeline, score_matrix

SPEC = MatrixSpec(("tokens",), 8, ("count", "share", "is_it"))
NUMBERS = {
    "count": pa.array([0, 3, None, 7], pa.int64()),
    "share": pa.array([0.5, None, float("nan"), 0.0], pa.float64()),
    "is_it": pa.array([True, False, None, True]),
}


def table_of(tokens: list[list[int] | None], **numbers: pa.Array) -> pa.Table:
    return pa.table({"tokens": pa.array(tokens, pa.list_(pa.uint32())), **(numbers or NUMBERS)})


def weigh_plainly(tokens: list[int] | None) -> list[float]:
    """The token cells of one row, the slow way."""
    cells = [1 + np.log(tokens.count(token)) if token in tokens else 0.0 for token in range(8)] if tokens else [0.0] * 8
    length = float(np.sqrt(sum(cell**2 for cell in cells))) or 1.0
    return [cell / length for cell in cells]


def test_cells_are_weighted_tokens_and_logarithms_of_numbers() -> None:
    matrix = build_matrix(table_of([[1, 5, 1], [], None, [7]]), SPEC).toarray()

    twice, once = 1 + np.log(2), 1.0
    length = np.hypot(twice, once)
    assert matrix.round(6).tolist() == np.round(
        [
            [0, twice / length, 0, 0, 0, once / length, 0, 0, np.log(1), np.log(1.5), np.log(2)],
            [0, 0, 0, 0, 0, 0, 0, 0, np.log(4), 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 1, np.log(8), 0, np.log(2)],
        ],
        6,
    ).tolist()  # fmt: skip


@given(st.lists(st.none() | st.lists(st.integers(0, 7), max_size=12), max_size=8))
def test_tokens_are_weighed_as_the_plain_way_does(tokens: list[list[int] | None]) -> None:
    matrix = build_matrix(table_of(tokens, x=pa.nulls(len(tokens), pa.int64())), MatrixSpec(("tokens",), 8, ()))

    assert matrix.shape == (len(tokens), 8)
    assert np.allclose(matrix.toarray(), np.reshape([weigh_plainly(row) for row in tokens], (-1, 8)))


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (1, 2), (3, 1), (2, 0)])
def test_slices_and_chunks_give_the_rows_of_the_whole(offset: int, length: int) -> None:
    whole = table_of([[1, 5, 1], [], None, [7]])
    chunked = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 2), whole.slice(3)])
    expected = build_matrix(whole, SPEC).toarray()[offset : offset + length]

    for table in (whole, chunked):
        assert (build_matrix(table.slice(offset, length), SPEC).toarray() == expected).all()


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 8, int(n)).tolist() for n in rng.integers(0, 30, 500)]
    spec = MatrixSpec(("tokens",), 8, ())
    together = build_matrix(table_of(rows, x=pa.nulls(500)), spec)

    alone = [build_matrix(table_of([row], x=pa.nulls(1)), spec).toarray()[0] for row in rows]
    assert (together.toarray() == np.array(alone)).all(), "to the last bit: scores must not depend on the partition"


def test_a_missing_column_is_named() -> None:
    with pytest.raises(BadData, match=r"needs 4 feature columns; 2 are not there: \['share', 'is_it'\]"):
        build_matrix(table_of([[1]], count=pa.array([1])), SPEC)


@pytest.mark.parametrize(("ids", "found"), [([8], "0 nulls among 1 and 8"), ([1, None], "1 nulls among 2 and 1")])
def test_foreign_token_ids_are_refused(ids: list[int], found: str) -> None:
    with pytest.raises(BadData, match=f"from 0 to 7; found {found}"):
        build_matrix(table_of([ids], x=pa.nulls(1)), MatrixSpec(("tokens",), 8, ()))


def test_the_spec_survives_json() -> None:
    assert MatrixSpec.from_json(SPEC.to_json()) == SPEC
    first = {"token_column": "tokens", "token_dimension": 8, "numeric": ["count", "share", "is_it"]}
    assert MatrixSpec.from_json(first) == SPEC, "as the first releases wrote it"


@pytest.fixture(scope="module")
def fitted() -> Pipeline:
    matrix = build_matrix(table_of([[0], [1], [2]] * 4, x=pa.nulls(12)), MatrixSpec(("tokens",), 8, ()))
    return build_pipeline().fit(matrix, [0, 1, 2] * 4)


def test_probabilities_come_in_the_order_of_the_classes_and_sum_to_one(fitted: Pipeline) -> None:
    matrix = build_matrix(table_of([[2], [0], [5]], x=pa.nulls(3)), MatrixSpec(("tokens",), 8, ()))
    probabilities = score_matrix(fitted, matrix)

    assert probabilities.shape == (3, 3)
    assert probabilities.argmax(axis=1)[:2].tolist() == [2, 0]
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert score_matrix(fitted, matrix[:0]).shape == (0, 3)


def test_a_class_that_a_fold_lacked_has_probability_zero() -> None:
    matrix = build_matrix(table_of([[0], [2]] * 4, x=pa.nulls(8)), MatrixSpec(("tokens",), 8, ()))
    pipeline = build_pipeline().fit(matrix, [0, 2] * 4)

    probabilities = score_matrix(pipeline, matrix[:2], class_count=3)
    assert probabilities[:, 1].tolist() == [0, 0]
    assert probabilities.argmax(axis=1).tolist() == [0, 2]


def test_a_pipeline_read_from_its_file_says_the_same(fitted: Pipeline, tmp_path: Path) -> None:
    skops.io.dump(fitted, tmp_path / "model.skops")
    matrix = build_matrix(table_of([[2], [0]], x=pa.nulls(2)), MatrixSpec(("tokens",), 8, ()))

    loaded = load_pipeline(tmp_path / "model.skops")
    assert (score_matrix(loaded, matrix) == score_matrix(fitted, matrix)).all()
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == []


def test_a_file_that_asks_for_foreign_types_is_refused(tmp_path: Path) -> None:
    skops.io.dump(subprocess.Popen, tmp_path / "evil.skops")
    with pytest.raises(BadData, match=r"evil\.skops asks for types that are not trusted.*Popen"):
        load_pipeline(tmp_path / "evil.skops")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.skops").write_bytes(b"not a zip")
    skops.io.dump({"a": 1}, tmp_path / "dict.skops")

    with pytest.raises(BadData, match=r"broken\.skops cannot be read as a skops pipeline"):
        load_pipeline(tmp_path / "broken.skops")
    with pytest.raises(BadData, match=r"gone\.skops cannot be read as a skops pipeline"):
        load_pipeline(tmp_path / "gone.skops")
    with pytest.raises(BadData, match=r"dict\.skops holds a dict, not a fitted pipeline"):
        load_pipeline(tmp_path / "dict.skops")


def test_a_worker_loads_no_pandas_no_matplotlib_and_no_duckdb_with_the_model() -> None:
    code = "import sys, training.model; print(sorted({'sklearn', 'pandas', 'matplotlib', 'duckdb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
