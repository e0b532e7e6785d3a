import json
from dataclasses import replace
from typing import Any

import pytest

from training.dataset import TrainingSet
from training.inputs import build_inputs, build_settings, restore_settings
from training.spec import GateBounds, ModelSpec, read_spec


def name_changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"abstain_below": 0.9}, {"spec"}),
        ({"folds": 3}, {"spec"}),
        ({"held_out_salt": "another"}, {"spec"}),
        ({"slices": ()}, {"spec"}),
        ({"build_pipeline": dict}, {"spec"}),
        ({"gate": GateBounds(min_macro_f1=0.9)}, set()),
    ],
    ids=["threshold", "folds", "salt", "slices", "pipeline", "gate"],
)
def test_a_spec_counts_but_for_what_the_gate_asks(
    training_set: TrainingSet, spec: ModelSpec, change: dict[str, Any], part: set[str]
) -> None:
    before = build_inputs(training_set, spec, spec.recipe)
    assert name_changed(before, build_inputs(training_set, replace(spec, **change), spec.recipe)) == part


def test_each_part_is_told_apart(training_set: TrainingSet, spec: ModelSpec) -> None:
    before = build_inputs(training_set, spec, spec.recipe)
    other = replace(training_set, digest="d" * 64, matrix=replace(training_set.matrix, numeric=("text_chars",)))
    assert name_changed(before, build_inputs(other, spec, spec.recipe)) == {"data", "matrix"}
    assert name_changed(before, build_inputs(training_set, spec, spec.recipe.change({"C": 9.0}))) == {"recipe"}
    service = replace(training_set.service, digest="5f" * 32)
    assert name_changed(before, build_inputs(replace(training_set, service=service), spec, spec.recipe)) == {"service"}
    assert before == build_inputs(training_set, spec, spec.recipe)


@pytest.mark.parametrize("name", ["sentiment", "spam"])
def test_settings_are_kept_in_json_and_come_back(name: str) -> None:
    spec = read_spec(name)
    kept = json.loads(json.dumps(build_settings(spec), allow_nan=False))
    assert kept == build_settings(spec)
    changed = replace(spec, held_out_share=0.9, classes=("a", "b"), group_column="channel_id", folds=9, min_rows=1)
    assert restore_settings(changed, kept) == spec


def test_functions_slices_and_what_is_unknown_stay_those_of_today(spec: ModelSpec) -> None:
    kept = build_settings(spec) | {"build_pipeline": "gone.build", "slices": [], "of_another_release": 3, "folds": 2}
    assert restore_settings(spec, kept) == replace(spec, folds=2)
