"""Differences between models, whose chance of error is known because the models are made up."""

from itertools import pairwise

import numpy as np
import pytest

from training.difference import Difference, adjust_holm, compare_macro_f1
from training.evaluate import JudgedRows
from training.model import Floats

LABELS = np.tile([0, 1], 300)


def build_rows(groups: int = 60) -> JudgedRows:
    return JudgedRows(
        classes=("ham", "spam"),
        positions=np.arange(600),
        labels=LABELS,
        groups=np.repeat(np.arange(groups), 600 // groups),
        slices={},
        majority=0,
    )


def say(wrong: np.ndarray) -> Floats:
    return np.eye(2)[np.where(wrong, 1 - LABELS, LABELS)]


def wrong_at(share: float, rng: np.random.Generator) -> np.ndarray:
    return rng.random(600) < share


def test_a_difference_is_that_of_the_macro_f1_on_the_rows_of_the_slice() -> None:
    wrong, is_in = np.zeros(600, dtype=bool), np.arange(600) < 100
    wrong[:10] = wrong[590:] = True
    found = compare_macro_f1(build_rows(), say(wrong), say(np.zeros(600, dtype=bool)), is_in)
    assert (found.rows, found.groups) == (100, 10)
    assert found.theirs == 1
    assert found.ours == pytest.approx(0.9), "five of fifty wrong in each class"
    assert found.value == pytest.approx(-0.1)


def test_the_comparison_is_paired() -> None:
    """Two models that differ on few rows: the interval of the difference is far narrower than either's own."""
    wrong = wrong_at(0.2, np.random.default_rng(0))
    other = wrong.copy()
    other[np.flatnonzero(wrong)[:6]] = False
    difference = compare_macro_f1(build_rows(), say(other), say(wrong)).estimate
    assert difference.value == pytest.approx(0.01, abs=0.003)
    assert difference.high - difference.low < 0.03


def test_nothing_is_ruled_out_of_a_single_group() -> None:
    wrong = np.zeros(600, dtype=bool)
    found = compare_macro_f1(build_rows(groups=1), say(wrong), say(~wrong))
    assert found.compute_p_worse(0.01, 0.05) > 0.5
    assert found.compute_p_not_worse(0.01, 0.05) > 0.5


def test_equal_models_rule_out_any_loss() -> None:
    wrong = np.arange(600) % 10 == 0
    found = compare_macro_f1(build_rows(), say(wrong), say(wrong))
    assert found.compute_p_worse(0.001, 0.05) == pytest.approx(1 / 1001)
    assert found.compute_p_worse(0, 0.05) == 1, "that it is no better is not ruled out"


def test_a_loss_as_large_as_the_margin_is_ruled_out_as_rarely_as_the_level_says_even_by_four_groups() -> None:
    """600 pairs of models of which one is worse by 0.05 in truth, on groups that differ."""
    rows, rng = build_rows(groups=4), np.random.default_rng(0)
    found = []
    for _ in range(600):
        shift = np.clip(rng.normal(0.0, 0.03, 4), -0.09, 0.09)[rows.groups]
        ours, theirs = rng.random(600) < 0.15 + shift, rng.random(600) < 0.10
        found.append(compare_macro_f1(rows, say(ours), say(theirs)))
    ruled_out = [one.compute_p_worse(0.05, 0.05) <= 0.05 for one in found]
    assert 0.02 < np.mean(ruled_out) < 0.08
    assert np.mean([(one.draws <= -0.05).mean() <= 0.05 for one in found]) > 0.09, "what resampling alone would say"


def test_a_p_value_grows_with_what_is_to_be_ruled_out() -> None:
    draws = np.random.default_rng(1).normal(-0.01, 0.01, 1000)
    found = Difference(0.6, 0.61, 1000, 300, draws)
    margins = [0.0, 0.01, 0.02, 0.05]
    worse = [found.compute_p_worse(margin, 0.05) for margin in margins]
    not_worse = [found.compute_p_not_worse(margin, 0.05) for margin in margins]
    assert all(first > second for first, second in pairwise(worse))
    assert all(first < second for first, second in pairwise(not_worse))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.5, 0.02], [0.03, 0.5, 0.04]),
        ([0.03, 0.01, 0.02, 0.04], [0.06, 0.04, 0.06, 0.06]),
        ([0.9, 0.8], [1, 1]),
    ],
)
def test_holms_adjustment(given: list[float], expected: list[float]) -> None:
    assert adjust_holm(given) == pytest.approx(expected)
