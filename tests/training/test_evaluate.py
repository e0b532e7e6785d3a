import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from training.dataset import TrainingSet
from training.evaluate import JudgedRows, build_majority, choose_judged_rows, evaluate_probabilities
from training.slices import mark_slice
from training.spec import ModelSpec, Slice

ROWS = JudgedRows(
    classes=("ham", "spam"),
    positions=np.arange(4),
    labels=np.array([0, 0, 1, 1]),
    groups=np.array([0, 1, 1, 2]),
    slices={"short text": np.array([True, False, True, False]), "with emoji": np.zeros(4, dtype=bool)},
    majority=0,
)
PROBABILITIES = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.4, 0.6]])


def test_an_evaluation_on_a_table_one_can_check_by_hand() -> None:
    found = evaluate_probabilities(ROWS, PROBABILITIES, design="by hand", abstain_below=0.58)

    assert (found.overall.rows, found.overall.groups) == (4, 3)
    assert found.overall.values["accuracy"].value == 3 / 4
    assert found.confusion == ((1, 1), (0, 2)), "rows are labels, columns predictions"
    assert (found.majority, found.baseline.values["accuracy"].value) == ("ham", 2 / 4)
    assert {name: metrics.rows for name, metrics in found.slices.items()} == {"short text": 2}, "no empty slice"
    assert found.slices["short text"].values["accuracy"].value == 1
    assert (found.decided.share.value, found.decided.rows) == (3 / 4, 3)
    assert found.decided.accuracy is not None
    assert found.decided.accuracy.value == 1
    assert found.coverage[0].share.value == 1, "a threshold of 0 decides everything"
    assert [(one.accuracy, one.rows) for one in found.reliability] == [(0, 1), (1, 1), (1, 1), (1, 1)]
    assert [one.confidence for one in found.reliability] == pytest.approx([0.55, 0.6, 0.8, 0.9])
    assert found.later is None


def test_a_model_that_always_abstains_has_no_accuracy_on_what_it_decided() -> None:
    found = evaluate_probabilities(ROWS, PROBABILITIES, design="", abstain_below=1.0)
    assert (found.decided.share.value, found.decided.accuracy) == (0, None)


def test_an_evaluation_is_json() -> None:
    found = evaluate_probabilities(ROWS, PROBABILITIES, design="by hand", abstain_below=0.5)
    read = json.loads(json.dumps(found.to_json()))
    assert read["overall"]["values"]["accuracy"]["value"] == 0.75
    assert read["slices"]["short text"]["rows"] == 2


def test_the_majority_class_is_that_of_the_rows_learned_from() -> None:
    assert build_majority(ROWS).tolist() == [[1, 0]] * 4


def test_held_out_rows_are_judged(training_set: TrainingSet, spec: ModelSpec) -> None:
    rows = choose_judged_rows(training_set, spec)

    assert rows.positions.tolist() == np.flatnonzero(training_set.is_held_out).tolist()
    assert (rows.labels == training_set.labels[training_set.is_held_out]).all()
    assert rows.group_count == len(set(training_set.groups[training_set.is_held_out]))
    learned = training_set.labels[~training_set.is_held_out]
    assert rows.majority == np.bincount(learned).argmax()


def test_every_row_of_a_cross_group_model_is_judged(training_set: TrainingSet, spec: ModelSpec) -> None:
    rows = choose_judged_rows(training_set, replace(spec, is_cross_group=True))
    assert rows.positions.tolist() == list(range(len(training_set.labels)))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Slice("short", "chars", below=40), [True, False, False, False]),
        (Slice("long", "chars", at_least=40), [False, True, True, False]),
        (Slice("middle", "chars", at_least=40, below=50), [False, True, False, False]),
        (Slice("reply", "is_reply", at_least=1), [True, False, False, True]),
    ],
)
def test_a_slice_is_a_half_open_range_and_never_holds_nulls(one: Slice, expected: list[bool]) -> None:
    table = pa.table({"chars": [39, 40, 300, None], "is_reply": [True, False, None, True]})
    assert mark_slice(table, one).tolist() == expected
