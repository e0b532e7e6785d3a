from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.errors import BadData
from training.digest import digest_each_row, digest_floats, digest_json, digest_rows, digest_state
from training.fit import FittedModel
from training.trial import Trial, run_trial

ROW = {
    "key": ["a", "b", "c"],
    "count": [1, None, 0],
    "share": [0.5, None, 0.0],
    "is_it": [True, None, False],
    "text": ["x", None, ""],
    "tokens": [[1, 2], None, []],
    "seen_at": [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(2026, 1, 2, tzinfo=UTC)],
}


def digest(table: pa.Table) -> str:
    return digest_rows(table, key="key")


def test_the_digest_is_the_same_in_every_run() -> None:
    # Golden: registered versions carry digests, so what a digest is may not change.
    assert digest(pa.table(ROW)) == "d9268a6b1f8c4d307984b6de5ab8dd3c0fccb2155b36b1c591c423f9777aebbe"


@given(st.permutations([0, 1, 2]), st.permutations(list(ROW)), st.integers(0, 3))
def test_the_order_of_rows_and_columns_and_the_chunks_do_not_matter(
    rows: list[int], columns: list[str], cut: int
) -> None:
    table = pa.table(ROW)
    other = table.take(rows).select(columns)
    other = pa.concat_tables([other.slice(0, cut), other.slice(cut)])

    assert digest(other) == digest(table)


def test_the_physical_type_does_not_matter() -> None:
    table = pa.table(ROW)
    other = table.cast(
        pa.schema(
            [
                ("key", pa.large_string()),
                ("count", pa.int32()),
                ("share", pa.float32()),
                ("is_it", pa.bool_()),
                ("text", pa.large_string()),
                ("tokens", pa.large_list(pa.uint32())),
                ("seen_at", pa.timestamp("ms", "UTC")),
            ]
        )
    )
    assert digest(other) == digest(table)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("count", [2, None, 0]),
        ("count", [1, 0, 0]),
        ("share", [0.5, None, 0.25]),
        ("is_it", [True, False, False]),
        ("text", ["x", "", ""]),
        ("text", ["x", None, "y"]),
        ("tokens", [[2, 1], None, []]),
        ("tokens", [[1], None, [2]]),
        ("tokens", [[1, 2], [], []]),
        ("seen_at", [datetime(2026, 1, 1, 1, tzinfo=UTC), None, datetime(2026, 1, 2, tzinfo=UTC)]),
    ],
)
def test_every_change_of_content_changes_the_digest(column: str, values: list[object]) -> None:
    assert digest(pa.table(ROW | {column: values})) != digest(pa.table(ROW))


def test_letters_that_move_from_one_row_to_the_next_change_the_digest() -> None:
    one, other = ({"key": ["a", "b"], "text": texts} for texts in (["xy", "z"], ["x", "yz"]))
    assert digest(pa.table(one)) != digest(pa.table(other))


def test_a_key_that_occurs_twice_has_no_order() -> None:
    with pytest.raises(BadData, match="one row per key, found 2 rows of 1"):
        digest(pa.table({"key": ["a", "a"]}))


def test_each_row_has_a_digest_of_its_own_that_is_the_same_in_every_run() -> None:
    digests = digest_each_row(pa.table(ROW))
    # Golden: versions keep digests of their rows.
    assert digests[0] == "8ea1acf5555fbd9cfaf56e7bd9a3e354"
    assert len(set(digests)) == 3
    assert digest_each_row(pa.table(ROW).take([2, 0, 1])) == [digests[2], digests[0], digests[1]]
    assert digest_each_row(pa.table(ROW | {"share": [0.5, None, 1e-300]}))[2] != digests[2]


def test_one_bit_of_one_float_is_another_digest() -> None:
    values = np.array([[0.1, 0.9], [0.3, 0.7]])
    other = values.copy()
    other[1, 0] = np.nextafter(0.3, 1)
    assert digest_floats(values) == digest_floats(np.asfortranarray(values))
    assert len({digest_floats(one) for one in (values, other, values.T, values.reshape(1, 4))}) == 4


def test_plain_data_have_one_digest_however_they_are_written() -> None:
    assert digest_json({"a": [1, 2.5], "b": None}) == digest_json({"b": None, "a": (1, 2.5)})
    assert digest_json({"a": 1}) != digest_json({"a": "1"})


def test_a_fitted_pipeline_has_the_digest_of_what_it_learned(trial: Trial) -> None:
    again = run_trial(trial.training_set, trial.spec, trial.recipe)
    assert digest_state(trial.fitted.pipeline) == digest_state(again.fitted.pipeline)
    settings = {name: value * 1.5 for name, value in trial.fitted.settings.items()}
    other = run_trial(trial.training_set, trial.spec, trial.recipe.fix(settings))
    assert digest_state(trial.fitted.pipeline) != digest_state(other.fitted.pipeline)
    assert digest_state(trial.spec.build_pipeline()) == digest_state(trial.spec.build_pipeline())


def test_what_two_states_differ_in_is_seen() -> None:
    states = [
        [1, 2],
        (1, 2),
        [1, "2"],
        {"a": 1},
        {"a": None},
        {"b": 1},
        np.array([1, 2]),
        np.array(["x"], object),
        True,
    ]
    assert len({digest_state(one) for one in [*states, digest_json, FittedModel]}) == len(states) + 2
    assert digest_state(states) == digest_state(list(states))
