import pytest

from feature_repo.errors import BadData
from training.spec import Recipe, list_specs, read_spec


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
    assert Recipe().change({"C": 0.0001}) == Recipe(c_values=(0.0001,))
    assert Recipe().change({"c_values": [1, 2]}) == Recipe(c_values=(1.0, 2.0))
    assert Recipe().change({"label_shuffle_seed": 7}) == Recipe(label_shuffle_seed=7)
    assert Recipe().change({}) == Recipe()


def test_an_unknown_change_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadData, match=r"C, c_values, class_weight, label_shuffle_seed; found \['penalty'\]"):
        Recipe().change({"penalty": "l1"})
