from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.pipeline import Pipeline

from feature_repo.errors import BadData
from training.dataset import TrainingSet
from training.fit import Examples, FittedModel, deal_folds, fit_model, predict_out_of_fold
from training.model import build_pipeline, score_matrix
from training.spec import ModelSpec, Recipe
from training.trial import build_examples

C = "classes__estimator__C"


def build_recipe(*values: float) -> Recipe:
    return Recipe({C: values})


@pytest.fixture(scope="module")
def examples(training_set: TrainingSet, spec: ModelSpec) -> Examples:
    return build_examples(training_set, spec, training_set.matrix)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60), st.integers(2, 6))
def test_folds_keep_groups_whole_and_judge_every_row_once(names: list[str], folds: int) -> None:
    groups = np.array([*names, "a", "b"])
    dealt = deal_folds(groups, folds)

    assert len(dealt) == min(folds, len(set(groups)))
    assert sorted(np.concatenate([judge for _, judge in dealt])) == list(range(len(groups)))
    for learn, judge in dealt:
        assert set(groups[learn]) & set(groups[judge]) == set()


def test_few_groups_are_left_out_one_by_one() -> None:
    groups = np.array(["psy", "katy", "psy", "eminem"])
    judged = {tuple(sorted(set(groups[judge]))) for _, judge in deal_folds(groups, 5)}
    assert judged == {("psy",), ("katy",), ("eminem",)}


def test_one_group_makes_no_folds() -> None:
    with pytest.raises(BadData, match="need at least two groups, found one"):
        deal_folds(np.array(["a", "a"]), 5)


def test_the_penalty_with_the_least_loss_out_of_fold_is_taken(examples: Examples) -> None:
    fitted = fit_model(examples, build_recipe(0.0001, 0.3), build_pipeline)

    losses = {one.settings[C]: one.log_loss for one in fitted.attempts}
    assert set(losses) == {0.0001, 0.3}
    assert losses[0.3] < losses[0.0001]
    assert fitted.settings == {C: 0.3}


def test_each_penalty_is_tried_on_groups_it_was_not_fitted_on_and_the_best_on_all_rows(examples: Examples) -> None:
    fitted_rows: list[int] = []

    class Noting(Pipeline):  # type: ignore[misc]  # scikit-learn ships no types
        def fit(self, matrix: csr_matrix, labels: NDArray[np.int64]) -> "Noting":
            fitted_rows.append(matrix.shape[0])
            super().fit(matrix, labels)
            return self

    fit_model(examples, build_recipe(0.3, 1.0), lambda: Noting(build_pipeline().steps))
    sizes = [len(learn) for learn, _ in deal_folds(examples.groups, 3)]
    assert fitted_rows == [*sizes, *sizes, len(examples.labels)]


def test_a_single_group_takes_the_first_penalty(examples: Examples) -> None:
    alone = replace(examples, groups=np.full(len(examples.labels), "v1"))
    fitted = fit_model(alone, build_recipe(1.0, 0.3), build_pipeline)
    assert (fitted.settings, fitted.attempts) == ({C: 1.0}, ())


def test_the_same_rows_give_the_same_model(examples: Examples) -> None:
    one, other = (fit_model(examples, build_recipe(0.3, 1.0), build_pipeline) for _ in range(2))
    assert (score_matrix(one.pipeline, examples.matrix) == score_matrix(other.pipeline, examples.matrix)).all()


def test_predictions_out_of_fold_come_from_models_that_never_saw_the_group(examples: Examples) -> None:
    learned: list[set[str]] = []

    def fit(part: Examples) -> FittedModel:
        learned.append(set(part.groups))
        return fit_model(part, build_recipe(1.0), build_pipeline)

    probabilities = predict_out_of_fold(examples, 4, fit)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert len(learned) == 4
    for seen, (learn, judge) in zip(learned, deal_folds(examples.groups, 4), strict=True):
        assert seen & set(examples.groups[judge]) == set()
        expected = fit_model(examples.take(learn), build_recipe(1.0), build_pipeline)
        assert (probabilities[judge] == score_matrix(expected.pipeline, examples.matrix[judge])).all()


def test_shuffled_labels_give_chance(examples: Examples) -> None:
    recipe = replace(build_recipe(1.0), label_shuffle_seed=1)
    probabilities = predict_out_of_fold(examples, 4, lambda part: fit_model(part, recipe, build_pipeline))
    assert (probabilities.argmax(axis=1) == examples.labels).mean() == pytest.approx(1 / 3, abs=0.06)
