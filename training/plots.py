"""Pictures of an evaluation, as matplotlib figures; nothing here touches a screen or matplotlib's global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from training.coverage import CoveragePoint
    from training.evaluate import Evaluation
    from training.learning import LearningPoint
    from training.metrics import Estimate

_BLUE: Final = "#2b6cb0"
_ORANGE: Final = "#c05621"
_GREY: Final = "#718096"
_LIGHT: Final = "#e2e8f0"
_DOTS_PER_INCH: Final = 150
_MIN_BIN_ROWS: Final = 10
_POOR: Final = 0.8  # of a behaviour's cases; below it the bar is orange


def draw_all(evaluation: "Evaluation", classes: tuple[str, ...]) -> dict[str, Figure]:
    """Every picture that there is something to draw of, by name."""
    figures = {
        "confusion": draw_confusion(evaluation, classes),
        "reliability": draw_reliability(evaluation),
        "coverage": draw_coverage(evaluation),
    }
    if evaluation.slices:
        figures["slices"] = draw_slices(evaluation)
    if evaluation.behaviours:
        figures["behaviour"] = draw_behaviours(evaluation)
    if len(evaluation.learning) > 1:
        figures["learning"] = draw_learning(evaluation)
    if evaluation.ablation:
        figures["ablation"] = draw_ablation(evaluation)
    return figures


def draw_confusion(evaluation: "Evaluation", classes: tuple[str, ...]) -> Figure:
    """Confusion matrix: rows of each label by predicted class, coloured by their share of the label."""
    counts = np.asarray(evaluation.confusion, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(
        figsize=(1.3 * len(classes) + 1.9, 1.1 * len(classes) + 1.5), dpi=_DOTS_PER_INCH, layout="constrained"
    )
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_title(f"{int(counts.sum()):,} judged rows", loc="left")
    for (label, predicted), share in np.ndenumerate(shares):
        text = f"{int(counts[label, predicted]):,}\n{share:.0%}"
        axes.text(predicted, label, text, ha="center", va="center", color="white" if share > 0.5 else "black")  # noqa: PLR2004 - readable on either shade
    return figure


def draw_reliability(evaluation: "Evaluation") -> Figure:
    """Reliability curve: how often the model is right at each confidence, above the rows that have it.

    The curve joins the bins that have ten rows; the others are hollow points, for they say little.
    """
    bins = evaluation.reliability
    told, vague = ([one for one in bins if (one.rows >= _MIN_BIN_ROWS) is is_told] for is_told in (True, False))
    figure = Figure(figsize=(5, 5), dpi=_DOTS_PER_INCH, layout="constrained")
    axes, below = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], linestyle="--", color=_GREY, linewidth=1, label="calibrated")
    axes.plot([one.confidence for one in told], [one.accuracy for one in told], color=_BLUE, marker="o", markersize=5)
    axes.scatter(
        [one.confidence for one in vague], [one.accuracy for one in vague], s=25, color="white", edgecolor=_BLUE
    )
    ece = evaluation.overall.values["ece"]
    axes.set_title(f"calibration error {ece.value:.3f} ({ece.low:.3f} to {ece.high:.3f})", loc="left")
    axes.set(xlim=(_round_down(bins[0].confidence), 1.01), ylim=(0, 1.02), ylabel="share that is right")
    below.bar([one.confidence for one in bins], [one.rows for one in bins], width=0.04, color=_BLUE, alpha=0.6)
    below.set(xlabel="confidence", ylabel="rows")
    axes.legend(loc="lower right", frameon=False)
    _clear(axes)
    _clear(below)
    return figure


def draw_slices(evaluation: "Evaluation") -> Figure:
    """Macro-F1 with its interval on every slice, and on all rows as the line to compare with."""
    names = list(evaluation.slices)
    estimates = [evaluation.slices[name].values["macro_f1"] for name in names]
    figure = Figure(figsize=(7, 0.42 * len(names) + 1.5), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    overall = evaluation.overall.values["macro_f1"]
    axes.axvspan(overall.low, overall.high, color=_LIGHT)
    axes.axvline(overall.value, color=_GREY, linewidth=1)
    _draw_estimates(axes, [f"{name} ({evaluation.slices[name].rows:,})" for name in names], estimates)
    axes.set(
        xlim=(_round_down(min(min(one.low, one.value) for one in estimates)), 1.01), xlabel="macro-F1, 95 % interval"
    )
    axes.set_title("slices with their rows; the band is all rows", loc="left")
    return figure


def draw_coverage(evaluation: "Evaluation") -> Figure:
    """Coverage curve: how good the decided rows are when the model may leave the doubtful ones out."""
    points = [point for point in evaluation.coverage if point.rows]
    shares = [point.share.value for point in points]
    figure = Figure(figsize=(6, 4.2), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    _draw_figures(axes, shares, points)
    decided = evaluation.decided
    axes.axvline(decided.share.value, color=_GREY, linestyle=":", label=f"confidence {decided.threshold:g}")
    axes.set(xlim=(1.02, 0), xlabel="share of rows decided", ylabel="on the decided rows")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("what abstaining buys", loc="left")
    axes.legend(loc="lower right", frameon=False)
    _clear(axes)
    return figure


def draw_learning(evaluation: "Evaluation") -> Figure:
    """Learning curve: accuracy and macro-F1 on the same judged rows by the rows learned from."""
    points = evaluation.learning
    rows = [float(point.rows) for point in points]
    figure = Figure(figsize=(6, 4.2), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    _draw_figures(axes, rows, points)
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{point.rows:,}\n{point.share:.0%}" for point in points])
    axes.minorticks_off()
    axes.set(xlabel="rows learned from, and their share of the groups", ylabel="on the judged rows")
    axes.set_title("what more labels buy", loc="left")
    axes.legend(loc="lower right", frameon=False)
    _clear(axes)
    return figure


def draw_ablation(evaluation: "Evaluation") -> Figure:
    """What macro-F1 loses or gains, with its interval, when the model learns without a group of columns."""
    points = evaluation.ablation
    figure = Figure(figsize=(7, 0.42 * len(points) + 1.5), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=_GREY, linewidth=1)
    _draw_estimates(axes, [f"without {one.left_out}" for one in points], [one.difference for one in points])
    axes.set(xlabel="change of macro-F1, 95 % interval")
    axes.set_title("what each group of columns is worth", loc="left")
    return figure


def draw_behaviours(evaluation: "Evaluation") -> Figure:
    """Share of the cases of each behavioural check that were as expected."""
    results = evaluation.behaviours
    places = range(len(results))
    figure = Figure(figsize=(7, 0.36 * len(results) + 1.3), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    colours = [_BLUE if one.share >= _POOR else _ORANGE for one in results]
    axes.barh(places, [one.share for one in results], color=colours, height=0.6)
    for place, one in enumerate(results):
        axes.text(1.02, place, f"{one.passed} of {one.cases}", va="center", fontsize="small", color=_GREY)
    axes.set_yticks(places, [f"{one.name} ({one.expect})" for one in results])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.15), xlabel="share of cases as expected")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("behaviour on texts written for the purpose", loc="left")
    _clear(axes, grid="x")
    return figure


def _draw_estimates(axes: "Axes", names: Sequence[str], estimates: Sequence["Estimate"]) -> None:
    """Estimates with their intervals, one below the other."""
    places = range(len(names))
    values = [one.value for one in estimates]
    axes.errorbar(values, places, xerr=_list_errors(estimates), fmt="o", color=_BLUE, capsize=3)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.margins(y=0.1)
    _clear(axes, grid="x")


def _draw_figures(
    axes: "Axes", places: Sequence[float], points: "Sequence[CoveragePoint] | Sequence[LearningPoint]"
) -> None:
    """Accuracy and macro-F1 of points as lines in their bands; the second is dashed, for the two may coincide."""
    accuracy, macro_f1 = [one.accuracy for one in points], [one.macro_f1 for one in points]
    for label, estimates, colour, style in (("accuracy", accuracy, _BLUE, "-"), ("macro-F1", macro_f1, _ORANGE, "--")):
        known = [(place, one) for place, one in zip(places, estimates, strict=True) if one is not None]
        shown = [place for place, _ in known]
        axes.plot(shown, [one.value for _, one in known], style, color=colour, marker="o", markersize=4, label=label)
        low, high = [one.low for _, one in known], [one.high for _, one in known]
        axes.fill_between(shown, low, high, color=colour, alpha=0.15, linewidth=0)


def _list_errors(estimates: Sequence["Estimate"]) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """How far intervals reach to both sides; on few groups one need not contain its point, which a bar cannot show."""
    reach = [(max(one.value - one.low, 0), max(one.high - one.value, 0)) for one in estimates]
    return np.asarray(reach, dtype=np.float64).T


def _round_down(value: float) -> float:
    """The next lower tenth, where an axis may begin."""
    return float(np.floor(value * 10) / 10)


def _clear(axes: "Axes", grid: Literal["x", "both"] = "both") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=_LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)
    if grid == "x":
        axes.tick_params(axis="y", length=0)
