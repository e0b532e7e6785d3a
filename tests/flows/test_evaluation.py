from dataclasses import replace

import numpy as np

from flows.evaluation import build_grids
from flows.report import Report, build_markdown
from training.behaviour import BehaviourResult, FailedCase
from training.evaluate import JudgedRows, evaluate_probabilities

ROWS = JudgedRows(
    classes=("ham", "spam"),
    positions=np.arange(4),
    labels=np.array([0, 0, 1, 1]),
    groups=np.array([0, 1, 1, 2]),
    slices={"short text": np.array([True, False, True, False])},
    majority=0,
)
PROBABILITIES = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.4, 0.6]])
EVALUATION = evaluate_probabilities(ROWS, PROBABILITIES, design="by hand", abstain_below=0.58)


def test_an_evaluation_is_told_as_figures_slices_and_what_is_decided() -> None:
    overall, slices, coverage = build_grids(EVALUATION)

    assert overall.header == ("metric", "model", "always ham")
    assert overall.rows[-1] == ("rows", "4 in 3 groups", "4 in 3 groups")
    assert [row[0] for row in slices.rows] == ["short text"]
    assert [row[0] for row in coverage.rows] == ["0", "0.58 (the model)", "0.7", "0.9"]
    assert str(coverage.rows[1][1]).startswith("0.750 (")
    assert coverage.rows[1][3] is None, "too few rows of a label for a macro-F1"


def test_behaviour_is_told_with_an_example_of_what_went_wrong() -> None:
    failed = FailedCase(("so good", "so good | really"), ("ham", "spam"), (0.7, 0.6))
    behaviours = (
        BehaviourResult("praise added", "invariance", "label stays", 8, 7, (failed,)),
        BehaviourResult("plain adverts", "minimum functionality", "label is spam", 12, 12, ()),
    )
    *_, asked = build_grids(replace(EVALUATION, behaviours=behaviours))
    assert asked.rows == (
        ("praise added", "label stays", "7 of 8", "so good → so good | really"),
        ("plain adverts", "label is spam", "12 of 12", ""),
    )
    assert "so good → so good \\| really" in build_markdown(Report("spam", grids=(asked,)))
