from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, split_table
from training.learning import measure_learning, take_groups
from training.spec import ModelSpec
from training.trial import Trial, build_examples, run_trial

BuildTable = Callable[..., pa.Table]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_shares_are_whole_groups_one_inside_the_next(training_set: TrainingSet, spec: ModelSpec) -> None:
    examples = build_examples(training_set, spec, training_set.matrix)
    taken = [set(take_groups(examples, share).groups) for share in (0.001, 0.25, 0.5, 1.0)]

    assert [len(one) for one in taken] == [1, 15, 30, 60], "rounded up"
    assert taken[0] < taken[1] < taken[2] < taken[3]
    half = take_groups(examples, 0.5)
    assert len(half.labels) == np.isin(examples.groups, list(taken[2])).sum()


def test_a_model_that_learns_from_more_is_better_and_the_last_point_is_the_trial(trial: Trial) -> None:
    points = measure_learning(trial)
    figures = [one.macro_f1.value for one in points]

    assert [one.share for one in points] == [0.1, 0.25, 0.5, 1.0]
    assert figures[0] < figures[-1] - 0.05
    assert figures[-1] == trial.evaluation.overall.values["macro_f1"].value
    assert points[-1].rows == (~trial.training_set.is_held_out).sum()
    assert [one.rows for one in points] == sorted(one.rows for one in points)


def test_held_out_rows_are_not_learned_from(trial: Trial) -> None:
    learned = set(trial.training_set.groups[~trial.training_set.is_held_out])
    points = measure_learning(trial, (0.5,))
    counts = {name: int((trial.training_set.groups == name).sum()) for name in learned}
    assert points[0].rows < sum(counts.values())
    assert points[1].rows == sum(counts.values())


def test_of_a_cross_group_model_every_row_is_judged_out_of_fold(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    spec = replace(spec, is_cross_group=True)
    trial = run_trial(split_table(build_table(groups=5), spec, service, data_version=1, as_of=NOW), spec, spec.recipe)
    points = measure_learning(trial)

    assert [one.share for one in points] == [0.25, 0.5, 1.0], "a tenth of four groups is one of them, as is a quarter"
    assert points[-1].rows == pytest.approx(900 * 4 / 5, abs=1), "each fold learns from the other groups"
    assert points[-1].accuracy.value == trial.evaluation.overall.values["accuracy"].value


def test_shares_with_too_few_rows_of_a_class_are_left_out(trial: Trial) -> None:
    asking = replace(trial, spec=replace(trial.spec, min_class_rows=100))
    assert [one.share for one in measure_learning(asking)] == [0.5, 1.0]
