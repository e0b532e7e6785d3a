"""The picture of a comparison: how sure each version is, and on which kinds of text they disagree."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scoring.compare import Comparison


def draw_comparison(found: "Comparison", file: Path) -> Path:
    """Draw a comparison into a PNG file."""
    figure = Figure(figsize=(10, 4.5), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_confidence(left, found)
    _draw_disagreement(right, found)
    figure.suptitle(f"{found.model}: version {found.ours} beside {found.theirs}, {found.overall.rows:,} comments")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    return file


def _draw_confidence(axes: "Axes", found: "Comparison") -> None:
    edges = np.linspace(0, 1, len(found.our_histogram) + 1)
    for counts, version in ((found.our_histogram, found.ours), (found.their_histogram, found.theirs)):
        axes.stairs(np.array(counts) / max(found.overall.rows, 1), edges, label=f"version {version}", linewidth=2)
    axes.set(xlabel="confidence", ylabel="share of comments")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)


def _draw_disagreement(axes: "Axes", found: "Comparison") -> None:
    slices = sorted((found.overall, *found.slices), key=lambda one: one.disagreement.value)
    values = np.array([one.disagreement.value for one in slices])
    ends = np.array([[one.disagreement.low, one.disagreement.high] for one in slices]).T
    axes.barh([f"{one.name} ({one.rows:,})" for one in slices], values, xerr=np.abs(ends - values), color="#90cdf4")
    axes.set(xlabel="share of comments on which the labels differ, 95 % interval")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
