import json

import pytest

from feature_repo.errors import BadData
from training.spec import Recipe, list_specs, read_spec

C = "classes__estimator__C"
RECIPE = Recipe({C: (0.3, 1.0)})


def test_the_models_are_the_modules_under_specs() -> None:
    assert list_specs() == ("sentiment", "spam")
    assert [read_spec(name).name for name in list_specs()] == ["sentiment", "spam"]


@pytest.mark.parametrize("name", ["toxic", "spec", "", "../spam", "sentiment.py"])
def test_an_unknown_model_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(BadData, match="there are sentiment, spam"):
        read_spec(name)


def test_classes_are_in_the_order_of_the_score_tables() -> None:
    assert read_spec("sentiment").classes == ("negative", "neutral", "positive")
    assert read_spec("spam").classes == ("ham", "spam")


def test_a_candidate_changes_the_recipe_and_nothing_else() -> None:
    assert RECIPE.change({"C": 0.0001}) == Recipe({C: (0.0001,)})
    assert RECIPE.change({C: [1, 2], "label_shuffle_seed": 3}) == Recipe({C: (1, 2)}, label_shuffle_seed=3)
    assert Recipe.from_json(json.loads(json.dumps(RECIPE.to_json()))) == RECIPE
    assert RECIPE.change({}) == RECIPE
    assert RECIPE.fix({C: 1.0}) == Recipe({C: (1.0,)})


def test_an_unknown_change_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        BadData, match="label_shuffle_seed, classes__estimator__C, or the end of such a name; found 'penalty'"
    ):
        RECIPE.change({"penalty": "l1"})


def test_a_recipe_of_the_first_releases_is_still_read() -> None:
    kept = {"c_values": [0.3, 1.0], "class_weight": "balanced", "label_shuffle_seed": None}
    assert Recipe.from_json(kept) == RECIPE
