from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.errors import BadData
from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, split_table
from training.gate import judge
from training.model import score_matrix
from training.spec import ModelSpec
from training.trial import Trial, build_examples, check_same_rows, predict_judged, run_trial

BuildTable = Callable[..., pa.Table]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def replace_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def macro_f1(trial: Trial) -> float:
    return trial.evaluation.overall.values["macro_f1"].value


def test_a_model_that_can_learn_passes_the_gate(trial: Trial, spec: ModelSpec) -> None:
    assert 0.6 < macro_f1(trial) < 0.99
    assert judge(trial.rows, trial.probabilities, None, spec.gate).is_promoted
    assert trial.evaluation.design == "on 20% of the groups (video_id), held out for ever"


def test_shuffled_labels_give_chance_and_are_refused(training_set: TrainingSet, spec: ModelSpec, trial: Trial) -> None:
    shuffled = run_trial(training_set, spec, spec.recipe.change({"label_shuffle_seed": 1}))

    assert macro_f1(shuffled) == pytest.approx(1 / 3, abs=0.08)
    assert not judge(shuffled.rows, shuffled.probabilities, None, spec.gate).is_promoted
    assert not judge(trial.rows, shuffled.probabilities, trial.probabilities, spec.gate).is_promoted


def test_what_the_held_out_rows_say_changes_nothing_in_the_model(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, training_set: TrainingSet, trial: Trial
) -> None:
    """Labels and tokens of the held-out side are replaced; C, weights and predictions must not move by a bit."""
    table = build_table().sort_by("comment_id")
    is_held_out = training_set.is_held_out
    labels = np.where(is_held_out, "negative", table.column("label").to_numpy(zero_copy_only=False))
    labels[np.flatnonzero(is_held_out)[:60]] = np.repeat(["neutral", "positive"], 30)
    tokens = [
        [7] if held else row for held, row in zip(is_held_out, table.column("token_ids_v1").to_pylist(), strict=True)
    ]
    changed = replace_column(table, "label", pa.array(labels.tolist()))
    changed = replace_column(changed, "token_ids_v1", pa.array(tokens, pa.list_(pa.uint32())))

    other = run_trial(split_table(changed, spec, service, data_version=1, as_of=NOW), spec, spec.recipe)
    matrix = build_examples(training_set, spec, training_set.matrix).matrix
    assert other.fitted.settings == trial.fitted.settings
    assert other.fitted.attempts == trial.fitted.attempts
    assert (score_matrix(other.fitted.pipeline, matrix) == score_matrix(trial.fitted.pipeline, matrix)).all()


def test_a_feature_made_of_the_label_gives_itself_away(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    """Chance without it: what the judged rows say of a leak is the leak alone."""
    table = build_table(hint=0.0)
    leak = pa.array(
        [{"negative": 5, "neutral": 50, "positive": 500}[label] for label in table.column("label").to_pylist()]
    )
    leaking = split_table(replace_column(table, "text_chars", leak), spec, service, data_version=1, as_of=NOW)
    honest = split_table(table, spec, service, data_version=1, as_of=NOW)

    assert macro_f1(run_trial(leaking, spec, spec.recipe)) > 0.8
    assert macro_f1(run_trial(honest, spec, spec.recipe)) == pytest.approx(1 / 3, abs=0.08)


def test_the_order_of_the_input_changes_no_bit(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, trial: Trial
) -> None:
    table = build_table()
    shuffled = table.take(np.random.default_rng(9).permutation(len(table)))
    again = run_trial(split_table(shuffled, spec, service, data_version=1, as_of=NOW), spec, spec.recipe)
    assert (again.probabilities == trial.probabilities).all()


def test_a_cross_group_model_is_judged_on_every_row_out_of_fold(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    spec = replace(spec, is_cross_group=True)
    training_set = split_table(build_table(groups=4), spec, service, data_version=1, as_of=NOW)
    trial = run_trial(training_set, spec, spec.recipe)

    assert trial.evaluation.design == "out of fold, on 4 folds of whole groups (video_id)"
    assert trial.evaluation.overall.rows == 900
    assert trial.evaluation.later is None
    in_sample = score_matrix(trial.fitted.pipeline, build_examples(training_set, spec, training_set.matrix).matrix)
    assert (in_sample.argmax(axis=1) == training_set.labels).mean() > trial.evaluation.overall.values["accuracy"].value


def test_the_champion_is_judged_by_its_own_columns(training_set: TrainingSet, spec: ModelSpec, trial: Trial) -> None:
    narrow = replace(training_set, matrix=replace(training_set.matrix, numeric=("is_reply",)))
    champion = run_trial(narrow, spec, spec.recipe)
    found = predict_judged(
        training_set, spec, matrix=narrow.matrix, recipe=spec.recipe, pipeline=champion.fitted.pipeline
    )
    assert (found == champion.probabilities).all()
    assert not (found == trial.probabilities).all()


def test_a_cross_group_champion_is_refitted_in_the_same_folds(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    spec = replace(spec, is_cross_group=True)
    training_set = split_table(build_table(groups=4), spec, service, data_version=1, as_of=NOW)
    trial = run_trial(training_set, spec, spec.recipe)
    found = predict_judged(
        training_set, spec, matrix=training_set.matrix, recipe=spec.recipe, pipeline=trial.fitted.pipeline
    )
    assert (found == trial.probabilities).all(), "refits of the recipe; not the pipeline, which has seen every row"


def test_the_later_view_is_on_later_rows_of_held_out_groups(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    training_set = split_table(build_table(rows=4_000, groups=400), spec, service, data_version=1, as_of=NOW)
    instants = training_set.table.column("event_timestamp").to_pylist()
    after = sorted(instants)[int(0.8 * len(instants)) - 1]
    expected = sum(held and at > after for held, at in zip(training_set.is_held_out, instants, strict=True))

    later = run_trial(training_set, spec, spec.recipe).evaluation.later
    assert later is not None
    assert later.rows == pytest.approx(expected, abs=3)


def test_without_later_rows_there_is_no_later_view(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    table = build_table()
    at_once = replace_column(table, "event_timestamp", pa.array([NOW] * len(table), pa.timestamp("us", "UTC")))
    trial = run_trial(split_table(at_once, spec, service, data_version=1, as_of=NOW), spec, spec.recipe)
    assert trial.evaluation.later is None


def test_models_are_not_compared_on_different_rows(training_set: TrainingSet) -> None:
    other = replace(training_set, table=training_set.table.slice(1))
    with pytest.raises(BadData, match="give 900 and 899 labelled comments, and not the same"):
        check_same_rows(training_set, other)


def test_a_group_on_both_sides_of_the_split_is_refused(training_set: TrainingSet, spec: ModelSpec) -> None:
    by_row = np.arange(len(training_set.labels)) % 5 == 0
    with pytest.raises(BadData, match=r"no group may be on both sides of the split; \d+ are: group v\d+, group v\d+"):
        run_trial(replace(training_set, is_held_out=by_row), spec, spec.recipe)
