"""Pictures of an evaluation, as matplotlib figures; nothing here touches a screen or matplotlib's global state."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from training.evaluate import Evaluation


def draw_confusion(evaluation: "Evaluation", classes: tuple[str, ...]) -> Figure:
    """Confusion matrix: rows of each label by predicted class, coloured by their share of the label."""
    counts = np.asarray(evaluation.confusion, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(1.4 * len(classes) + 2, 1.2 * len(classes) + 1.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="label", title=f"{int(counts.sum()):,} judged rows")
    for (label, predicted), share in np.ndenumerate(shares):
        text = f"{int(counts[label, predicted]):,}\n{share:.0%}"
        axes.text(predicted, label, text, ha="center", va="center", color="white" if share > 0.5 else "black")  # noqa: PLR2004 - readable on either shade
    return figure


def draw_reliability(evaluation: "Evaluation") -> Figure:
    """Reliability curve: how often the model is right at each confidence; points grow with their rows."""
    bins = evaluation.reliability
    confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
    rows = np.asarray([one.rows for one in bins])
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="calibrated")
    axes.plot(confidence, accuracy, color="tab:blue")
    axes.scatter(confidence, accuracy, s=10 + 190 * rows / rows.max(), color="tab:blue", alpha=0.6)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")
    axes.set_title(f"calibration error {evaluation.overall.values['ece'].value:.3f}")
    axes.legend(loc="upper left")
    return figure


def draw_slices(evaluation: "Evaluation") -> Figure:
    """Macro-F1 with its interval on every slice, and on all rows as the line to compare with."""
    names = list(evaluation.slices)
    estimates = [evaluation.slices[name].values["macro_f1"] for name in names]
    values = np.asarray([one.value for one in estimates])
    # A percentile interval need not contain its point on few groups; a bar cannot show that.
    below = np.maximum(values - [one.low for one in estimates], 0)
    above = np.maximum([one.high for one in estimates] - values, 0)
    figure = Figure(figsize=(7, 0.5 * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(names)), values, xerr=np.vstack([below, above]), color="tab:blue", alpha=0.7)
    axes.set_yticks(range(len(names)), [f"{name} ({evaluation.slices[name].rows:,})" for name in names])
    axes.axvline(evaluation.overall.values["macro_f1"].value, color="grey", linestyle="--", label="all rows")
    axes.set(xlim=(0, 1), xlabel="macro-F1")
    axes.legend(loc="lower right")
    return figure
