"""How an evaluation and a verdict are shown: figures with their intervals, slices, and the gate's sentences."""

from flows.report import Grid
from training.card import show_estimate
from training.evaluate import Evaluation
from training.gate import Verdict
from training.metrics import Metrics

_SHOWN = ("accuracy", "macro_f1", "log_loss", "brier", "ece")


def build_grids(evaluation: Evaluation) -> tuple[Grid, ...]:
    """Build the tables of an evaluation: overall beside the majority class and later rows, then slices."""
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
    return overall, _build_slice_grid(evaluation)


def build_verdict_grid(verdict: Verdict) -> Grid:
    """Build the table of the gate's checks."""
    rows = tuple(("passed" if check.is_passed else "FAILED", check.name, check.sentence) for check in verdict.checks)
    return Grid(("", "check", "why"), rows, title="the gate")


def _build_slice_grid(evaluation: Evaluation) -> Grid:
    def row(name: str, metrics: Metrics) -> tuple[object, ...]:
        return name, metrics.rows, show_estimate(metrics.values["accuracy"]), show_estimate(metrics.values["macro_f1"])

    rows = tuple(row(name, metrics) for name, metrics in evaluation.slices.items())
    return Grid(("slice", "rows", "accuracy", "macro-F1"), rows)
