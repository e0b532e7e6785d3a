from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from feature_repo.errors import BadData
from training.behaviour import (
    Behaviour,
    build_text_matrix,
    check_behaviours,
    judge_behaviour,
    read_behaviours,
)
from training.model import MatrixSpec, build_pipeline
from training.spec import list_specs, read_spec

CLASSES = ("negative", "neutral", "positive")
SAID = {
    "good": np.array([0.1, 0.2, 0.7]),
    "not good": np.array([0.3, 0.2, 0.5]),
    "GOOD": np.array([0.2, 0.1, 0.7]),
    "bad": np.array([0.6, 0.3, 0.1]),
}


@pytest.mark.parametrize(
    ("expect", "by", "case", "is_met"),
    [
        ("label is positive", 0, ("good",), True),
        ("label is positive", 0, ("bad",), False),
        ("label stays", 0, ("good", "GOOD"), True),
        ("label stays", 0, ("good", "bad"), False),
        ("positive falls", 0.19, ("good", "not good"), True),
        ("positive falls", 0.21, ("good", "not good"), False),
        ("positive falls", 0, ("not good", "good"), False),
        ("negative rises", 0.1, ("good", "not good"), True),
        ("negative rises", 0, ("bad", "good"), False),
        ("neutral rises", 0, ("good", "not good"), False),
    ],
)
def test_an_expectation_is_met_or_not(expect: str, by: float, case: tuple[str, ...], *, is_met: bool) -> None:
    result = judge_behaviour(Behaviour("one", expect, (case,), by), SAID, CLASSES)
    assert (result.passed, result.cases, result.share) == (int(is_met), 1, float(is_met))


def test_a_result_shows_the_first_five_failures_with_what_the_model_said() -> None:
    cases = (("good", "GOOD"), *[("good", "bad")] * 6)
    result = judge_behaviour(Behaviour("swaps", "label stays", cases), SAID, CLASSES)

    assert (result.kind, result.cases, result.passed, len(result.failed)) == ("invariance", 7, 1, 5)
    assert result.failed[0].texts == ("good", "bad")
    assert result.failed[0].labels == ("positive", "negative")
    assert result.failed[0].probabilities == (0.7, 0.6), "each of its own label"

    fell = judge_behaviour(Behaviour("negation", "positive falls", (("not good", "good"),), 0.1), SAID, CLASSES)
    assert fell.failed[0].probabilities == (0.5, 0.7), "of the class that should have fallen"
    assert (fell.kind, fell.expect) == ("direction", "positive falls by 0.1 or more")


def write(folder: Path, text: str) -> Path:
    (folder / "sentiment.toml").write_text(text, encoding="utf-8")
    return folder


def test_slots_are_filled_with_every_combination(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        '[[behaviour]]\nname = "negation"\nexpect = "positive falls"\nby = 0.1\n'
        'cases = [["I {verb} this {thing}", "I do not {verb} this {thing}"]]\n'
        'words = { verb = ["like", "love"], thing = ["song", "video"] }\n',
    )
    (found,) = read_behaviours("sentiment", CLASSES, folder)
    assert (found.kind, found.by, len(found.cases)) == ("direction", 0.1, 4)
    assert ("I like this video", "I do not like this video") in found.cases
    assert read_behaviours("toxic", CLASSES, folder) == (), "a model that nobody wrote a file for"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('expect = "label is happy"\ncases = [["a"]]', "'one' expects 'label is happy'; known are 'label stays'"),
        ('expect = "positive grows"\ncases = [["a", "b"]]', "with a class of negative, neutral, positive"),
        ('expect = "label stays"\ncases = [["{name} a", "b"]]', "'one' has slots without words: name"),
        ('expect = "label stays"\ncases = [["a"]]', r"'one' needs cases of 2 texts each; found \[\['a'\]\]"),
        ('expect = "label is neutral"\ncases = [["a", "b"]]', "'one' needs cases of 1 texts each"),
        ('expect = "label stays"\ncases = []', "'one' needs cases of 2 texts each; found"),
    ],
)
def test_what_cannot_be_checked_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    folder = write(tmp_path, f'[[behaviour]]\nname = "one"\n{lines}\n')
    with pytest.raises(BadData, match=f"sentiment.toml: {message}" if message.startswith("'") else message):
        read_behaviours("sentiment", CLASSES, folder)


@pytest.mark.parametrize("model", list_specs())
def test_what_is_expected_of_the_models_can_be_checked(model: str) -> None:
    found = read_behaviours(model, read_spec(model).classes)

    names = [one.name for one in found]
    assert len(names) == len(set(names)) >= 8, "names are names of metrics"
    assert {one.kind for one in found} == {"minimum functionality", "invariance", "direction"}
    assert all(len(set(one.cases)) == len(one.cases) >= 5 for one in found), "a case counts once"
    assert all(len(set(case)) == len(case) for one in found for case in one.cases), "a pair differs"


def test_a_single_text_takes_the_road_of_a_batch() -> None:
    """Words are told apart, a feature of channels is null and adds nothing."""
    matrix = MatrixSpec(("token_ids_v1",), 1 << 20, ("text_chars", "subscriber_count"))
    rows = build_text_matrix(["good", "good good video", ""], matrix)

    assert rows.shape == (3, (1 << 20) + 2)
    assert rows[:, -2].toarray().ravel() == pytest.approx(np.log1p([4, 15, 0]))
    assert rows[:, -1].nnz == 0
    assert rows[2].nnz == 0
    assert set(rows[0].indices[:-1]) <= set(rows[1].indices)


def test_a_model_is_asked_for_what_it_learned() -> None:
    """A model of two words knows their class, and nothing of capitals it has not seen."""
    matrix = MatrixSpec(("token_ids_v1",), 1 << 20, ())
    learned = sparse.vstack([build_text_matrix(["good video", "bad video"], matrix)] * 20)
    pipeline = build_pipeline().fit(learned.tocsr(), [1, 0] * 20)
    behaviours = (
        Behaviour("praise", "label is good", (("a good song",), ("a bad song",))),
        Behaviour("turned", "good falls", (("good", "bad"),), by=0.1),
        Behaviour("capitals", "label stays", (("good", "GOOD"),)),
    )

    found = check_behaviours(behaviours, pipeline, matrix, ("bad", "good"))
    assert [(one.name, one.passed, one.cases) for one in found] == [
        ("praise", 1, 2),
        ("turned", 1, 1),
        ("capitals", 1, 1),
    ]
    assert found[0].failed[0].texts == ("a bad song",)
    assert check_behaviours((), pipeline, matrix, ("bad", "good")) == ()
