import numpy as np
import pytest

from training.evaluate import JudgedRows
from training.gate import Verdict, compare_macro_f1, judge
from training.model import Floats
from training.spec import GateBounds

BOUNDS = GateBounds(min_macro_f1=0.5, max_ece=0.2, max_loss=0.01, max_slice_loss=0.05, min_slice_rows=100)
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
    verdict = judge(ROWS, say(wrong_at(0.1)), None, BOUNDS)
    assert verdict.is_promoted
    assert [check.name for check in verdict.checks] == ["floor", "calibration", "ignorance"]


@pytest.mark.parametrize("wrong", [LABELS == 1, np.arange(600) // 2 % 2 == 0], ids=["always ham", "a coin"])
def test_a_first_model_that_knows_nothing_is_refused(wrong: np.ndarray) -> None:
    verdict = judge(ROWS, say(wrong, confidence=0.6), None, GateBounds(min_macro_f1=0.0))

    assert failed(verdict) == {"ignorance"}
    assert sentence(verdict, "ignorance").endswith(
        "does not lie above 0.333, which always saying 'ham' reaches, and 0.500, which guessing reaches."
    )


def test_the_floor_holds_against_a_champion_that_is_worse() -> None:
    verdict = judge(ROWS, say(wrong_at(0.6), 0.55), say(wrong_at(0.9), 0.55), GateBounds(0.5, max_ece=1))
    assert failed(verdict) == {"floor"}
    assert "is below the floor of 0.500." in sentence(verdict, "floor")


def test_a_model_surer_than_it_may_be_is_refused() -> None:
    verdict = judge(ROWS, say(wrong_at(0.3), confidence=0.99), None, BOUNDS)
    assert failed(verdict) == {"calibration"}
    assert "is above the bound of 0.200." in sentence(verdict, "calibration")


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
    assert "difference -0.102 (95 % interval -0.128 to -0.080)" in found
    assert verdict.sentences[0] == found, "what failed is said first"


def test_a_small_loss_that_is_certain_is_refused() -> None:
    """One more error in every group: half a tolerance lower, and lower in every resample."""
    wrong = wrong_at(0.1)
    worse = wrong.copy()
    worse[::10] = True
    verdict = judge(ROWS, say(worse), say(wrong & ~worse), GateBounds(0.5, max_ece=1, max_loss=0.5, max_slice_loss=0.5))
    assert failed(verdict) == {"champion"}


def test_a_loss_beyond_the_tolerance_is_refused_even_if_uncertain() -> None:
    champion, challenger = wrong_at(0.1, seed=0), wrong_at(0.12, seed=4)
    difference = compare_macro_f1(ROWS, say(challenger), say(champion))
    assert difference.value < -0.01 < 0 < difference.high, "this is what the case is about"

    assert failed(judge(ROWS, say(challenger), say(champion), BOUNDS)) == {"champion"}
    allowed = GateBounds(min_macro_f1=0.5, max_loss=0.05)
    assert judge(ROWS, say(challenger), say(champion), allowed).is_promoted


def test_a_gain_elsewhere_does_not_pay_for_a_loss_on_a_slice() -> None:
    odd = ROWS.slices["odd groups"]
    champion, challenger = np.where(odd, wrong_at(0.1), wrong_at(0.4)), np.where(odd, wrong_at(0.2), wrong_at(0.1))
    verdict = judge(ROWS, say(challenger), say(champion), BOUNDS)

    assert failed(verdict) == {"slice odd groups"}
    assert "on 300 rows; a loss of 0.050 is allowed." in sentence(verdict, "slice odd groups")


def test_a_slice_with_few_rows_is_reported_and_not_judged() -> None:
    verdict = judge(ROWS, say(ROWS.slices["rare"]), say(wrong_at(0.0)), GateBounds(0.5, max_loss=1))
    assert sentence(verdict, "slice rare") == "Slice 'rare': 20 rows, not judged with fewer than 200."
    assert "slice rare" not in failed(verdict)


def test_the_comparison_is_paired() -> None:
    """Two models that differ on few rows: the interval of the difference is far narrower than either's own."""
    wrong = wrong_at(0.2)
    other = wrong.copy()
    other[np.flatnonzero(wrong)[:6]] = False
    difference = compare_macro_f1(ROWS, say(other), say(wrong))

    assert difference.value == pytest.approx(0.01, abs=0.003)
    assert difference.high - difference.low < 0.03


def test_the_verdict_is_the_same_every_time() -> None:
    first, again = (judge(ROWS, say(wrong_at(0.15)), say(wrong_at(0.14, seed=2)), BOUNDS) for _ in range(2))
    assert first == again
