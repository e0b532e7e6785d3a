import numpy as np
import pytest

from training.cost import Cost
from training.difference import compare_macro_f1
from training.evaluate import JudgedRows
from training.gate import Check, Verdict, judge
from training.model import Floats
from training.spec import GateBounds

BOUNDS = GateBounds(min_macro_f1=0.5, max_ece=0.2, max_loss=0.01, max_slice_loss=0.02, min_slice_rows=100)
LABELS = np.tile([0, 1], 300)
ROWS = JudgedRows(
    classes=("ham", "spam"),
    positions=np.arange(600),
    labels=LABELS,
    groups=np.repeat(np.arange(60), 10),
    slices={"odd groups": np.repeat(np.arange(60) % 2 == 1, 10), "rare": np.arange(600) < 20},
    majority=0,
)


def say(wrong: np.ndarray, confidence: float = 0.9) -> Floats:
    """A model that is `confidence` sure of the right class, and of the other one where it is wrong."""
    said = np.where(wrong, 1 - LABELS, LABELS)
    probabilities = np.full((600, 2), 1 - confidence)
    probabilities[np.arange(600), said] = confidence
    return probabilities


def wrong_at(share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(600) < share


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if not check.is_passed}


def sentence(verdict: Verdict, name: str) -> str:
    return next(check.sentence for check in verdict.checks if check.name == name)


def test_a_first_model_that_knows_something_is_promoted() -> None:
    verdict = judge(ROWS, say(wrong_at(0.1)), None, BOUNDS, word_list=say(wrong_at(0.2)), cost=Cost(0.01, 1_000))
    assert verdict.is_promoted
    assert [check.name for check in verdict.checks] == [
        "floor", "calibration", "latency", "size", "guessing", "majority", "word list",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [(LABELS == 1, {"guessing", "majority"}), (np.arange(600) // 2 % 2 == 0, {"guessing"})],
    ids=["always ham", "a coin"],
)
def test_a_first_model_that_knows_nothing_is_refused(wrong: np.ndarray, expected: set[str]) -> None:
    verdict = judge(ROWS, say(wrong, confidence=0.6), None, GateBounds(min_macro_f1=0.0))

    assert failed(verdict) == expected
    assert sentence(verdict, "guessing").endswith("is not surely above 0.500, that of guessing.")
    assert "of always saying 'ham': difference" in sentence(verdict, "majority")


def test_a_first_model_has_to_beat_a_word_list() -> None:
    listed = say(wrong_at(0.1))
    verdict = judge(ROWS, say(wrong_at(0.1, seed=3)), None, BOUNDS, word_list=listed)

    assert failed(verdict) == {"word list"}
    assert "is not surely above the 0.910 of a word list learned from the same rows" in sentence(verdict, "word list")


def test_the_floor_holds_against_a_champion_that_is_worse() -> None:
    verdict = judge(ROWS, say(wrong_at(0.6), 0.55), say(wrong_at(0.9), 0.55), GateBounds(0.5, max_ece=1))
    assert failed(verdict) == {"floor"}
    assert "is below the floor of 0.500." in sentence(verdict, "floor")


def test_a_model_surer_than_it_may_be_is_refused() -> None:
    verdict = judge(ROWS, say(wrong_at(0.3), confidence=0.99), None, BOUNDS)
    assert failed(verdict) == {"calibration"}
    assert "is above the bound of 0.200." in sentence(verdict, "calibration")


@pytest.mark.parametrize(
    ("cost", "name", "words"),
    [
        (
            Cost(0.3, 1_000),
            "latency",
            "It takes 0.300 s of processor time to score 1,000 rows, more than the 0.250 s allowed.",
        ),
        (Cost(0.01, 201_000_000), "size", "Its file has 201.0 MB, more than the 200.0 MB allowed."),
    ],
)
def test_a_model_that_costs_too_much_is_refused(cost: Cost, name: str, words: str) -> None:
    verdict = judge(ROWS, say(wrong_at(0.1)), say(wrong_at(0.2)), BOUNDS, cost=cost)
    assert failed(verdict) == {name}
    assert sentence(verdict, name) == words


def test_the_same_model_again_is_promoted() -> None:
    model = say(wrong_at(0.1))
    assert judge(ROWS, model, model, BOUNDS).is_promoted


def test_a_better_model_is_promoted() -> None:
    assert judge(ROWS, say(wrong_at(0.1)), say(wrong_at(0.2)), BOUNDS).is_promoted


def test_a_clearly_worse_model_is_refused_with_both_figures() -> None:
    verdict = judge(ROWS, say(wrong_at(0.2)), say(wrong_at(0.1)), BOUNDS)

    assert {"champion", "slice odd groups"} == failed(verdict)
    found = sentence(verdict, "champion")
    assert found.startswith("Macro-F1 0.808 against the champion's 0.910 on the same 600 rows of 60 groups: ")
    assert "difference -0.102 (95 % interval -0.125 to -0.078)" in found
    assert found.endswith("a loss of 0.010 is not ruled out, p = 1.000 at a level of 0.05.")
    assert verdict.sentences[0] == found, "what failed is said first"


def test_a_loss_that_cannot_be_ruled_out_is_refused() -> None:
    """The challenger looks a little better, and may well be worse by more than a point."""
    champion, challenger = wrong_at(0.12, seed=1), wrong_at(0.12, seed=0)
    difference = compare_macro_f1(ROWS, say(challenger), say(champion))
    assert difference.estimate.low < -0.01 < 0 < difference.value, "this is what the case is about"

    assert failed(judge(ROWS, say(challenger), say(champion), BOUNDS)) == {"champion"}
    assert judge(ROWS, say(challenger), say(champion), GateBounds(min_macro_f1=0.5, max_loss=0.05)).is_promoted


def test_a_small_loss_that_is_certain_is_allowed_up_to_the_margin() -> None:
    """One more error in every group: lower in every resample, and by about ten points in all of them."""
    wrong = wrong_at(0.1)
    wrong[::10] = False
    worse = wrong.copy()
    worse[::10] = True
    for margin, expected in ((0.15, set()), (0.08, {"champion"})):
        bounds = GateBounds(0.5, max_ece=1, max_loss=margin, max_slice_loss=0.5)
        assert failed(judge(ROWS, say(worse), say(wrong), bounds)) == expected


def test_a_gain_elsewhere_does_not_pay_for_a_loss_on_a_slice() -> None:
    odd = ROWS.slices["odd groups"]
    champion, challenger = np.where(odd, wrong_at(0.1), wrong_at(0.4)), np.where(odd, wrong_at(0.2), wrong_at(0.1))
    verdict = judge(ROWS, say(challenger), say(champion), BOUNDS)

    assert failed(verdict) == {"slice odd groups"}
    found = sentence(verdict, "slice odd groups")
    assert "on 300 rows, difference -0.083 (95 %" in found
    assert found.endswith("surely worse by more than 0.020, p = 0.001 at a level of 0.05 for all slices together.")


def test_a_loss_that_would_be_sure_on_one_slice_may_be_chance_among_twelve() -> None:
    """Nine more errors and three fewer among 300 rows: p is 0.007 alone, and 0.08 beside eleven equal slices."""
    champion, challenger = wrong_at(0.1), wrong_at(0.1)
    challenger[np.flatnonzero(~champion[:300])[::9][:9]] = True
    challenger[np.flatnonzero(champion[:300])[:3]] = False
    worse = {"worse": np.arange(600) < 300}
    equal = {f"equal {number}": np.arange(600) >= 300 for number in range(11)}
    bounds = GateBounds(0.5, max_loss=0.5, max_slice_loss=0.0)

    def judge_on(slices: dict[str, np.ndarray]) -> Verdict:
        rows = JudgedRows(ROWS.classes, ROWS.positions, LABELS, ROWS.groups, slices, 0)
        return judge(rows, say(challenger), say(champion), bounds)

    assert failed(judge_on(worse)) == {"slice worse"}
    assert "surely worse by more than 0.000, p = 0.007" in sentence(judge_on(worse), "slice worse")
    assert judge_on(worse | equal).is_promoted
    assert "not surely worse by more than 0.000, p = 0.084" in sentence(judge_on(worse | equal), "slice worse")


def test_slices_with_few_rows_are_named_and_not_judged() -> None:
    verdict = judge(ROWS, say(ROWS.slices["rare"]), say(wrong_at(0.0)), GateBounds(0.5, max_loss=1))
    assert sentence(verdict, "small slices") == "Slices not judged, with fewer than 100 rows: rare (20)."
    assert [check.name for check in verdict.checks if "slice" in check.name] == ["slice odd groups", "small slices"]


def test_one_check_more_can_refuse_what_passed() -> None:
    verdict = judge(ROWS, say(wrong_at(0.1)), say(wrong_at(0.2)), BOUNDS)
    asked = verdict.add(Check("approval", is_passed=False, sentence="Rejected by a person: not on a Friday."))
    assert verdict.is_promoted
    assert failed(asked) == {"approval"}
    assert asked.sentences[0] == "Rejected by a person: not on a Friday."


def test_the_verdict_is_the_same_every_time() -> None:
    first, again = (judge(ROWS, say(wrong_at(0.15)), say(wrong_at(0.14, seed=2)), BOUNDS) for _ in range(2))
    assert first == again
