"""How an evaluation and a verdict are shown: figures with intervals, slices, behaviour, and the gate's sentences."""

from flows.report import Grid
from training.behaviour import BehaviourResult
from training.card import select_points, show_estimate
from training.evaluate import Evaluation
from training.gate import Verdict
from training.metrics import Metrics

_SHOWN = ("accuracy", "macro_f1", "log_loss", "brier", "ece")


def build_grids(evaluation: Evaluation) -> tuple[Grid, ...]:
    """Build the tables of an evaluation: overall beside the majority class and later rows, slices, what is decided.

    And how the model behaves, if it was asked.
    """
    columns = {"model": evaluation.overall, f"always {evaluation.majority}": evaluation.baseline}
    if evaluation.later is not None:
        columns["on later rows"] = evaluation.later
    overall = Grid(
        ("metric", *columns),
        (
            *((name, *(show_estimate(metrics.values[name]) for metrics in columns.values())) for name in _SHOWN),
            ("rows", *(f"{metrics.rows:,} in {metrics.groups:,} groups" for metrics in columns.values())),
        ),
        title=f"{evaluation.design} (95 % intervals)",
    )
    asked = (_build_behaviour_grid(evaluation),) if evaluation.behaviours else ()
    return overall, _build_slice_grid(evaluation), _build_coverage_grid(evaluation), *asked


def build_verdict_grid(verdict: Verdict) -> Grid:
    """Build the table of the gate's checks."""
    rows = tuple(("passed" if check.is_passed else "FAILED", check.name, check.sentence) for check in verdict.checks)
    return Grid(("", "check", "why"), rows, title="the gate")


def _build_slice_grid(evaluation: Evaluation) -> Grid:
    def row(name: str, metrics: Metrics) -> tuple[object, ...]:
        return name, metrics.rows, show_estimate(metrics.values["accuracy"]), show_estimate(metrics.values["macro_f1"])

    rows = tuple(row(name, metrics) for name, metrics in evaluation.slices.items())
    return Grid(("slice", "rows", "accuracy", "macro-F1"), rows)


def _build_coverage_grid(evaluation: Evaluation) -> Grid:
    rows = tuple(
        (
            f"{one.threshold:g}{' (the model)' if one.threshold == evaluation.decided.threshold else ''}",
            show_estimate(one.share),
            show_estimate(one.accuracy) if one.accuracy else None,
            show_estimate(one.macro_f1) if one.macro_f1 else None,
        )
        for one in select_points(evaluation)
    )
    return Grid(
        ("confidence from", "share decided", "accuracy there", "macro-F1 there"), rows, title="when it abstains"
    )


def _build_behaviour_grid(evaluation: Evaluation) -> Grid:
    def find_example(result: BehaviourResult) -> str:
        return " → ".join(result.failed[0].texts) if result.failed else ""

    rows = tuple(
        (one.name, one.expect, f"{one.passed} of {one.cases}", find_example(one)) for one in evaluation.behaviours
    )
    return Grid(("behaviour", "expected", "as expected", "not so, for example"), rows, title="texts for the purpose")
