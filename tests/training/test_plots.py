import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np

from training.metrics import Estimate
from training.plots import draw_confusion, draw_reliability, draw_slices
from training.trial import Trial


def test_the_confusion_matrix_shows_counts_and_shares_of_the_label(trial: Trial) -> None:
    figure = draw_confusion(
        replace(trial.evaluation, confusion=((30, 10, 0), (0, 5, 0), (0, 0, 0))), trial.spec.classes
    )
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]

    assert texts == ["30\n75%", "10\n25%", "0\n0%", "0\n0%", "5\n100%", "0\n0%", "0\n0%", "0\n0%", "0\n0%"]
    assert axes.get_title() == "45 judged rows"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["negative", "neutral", "positive"]


def test_the_reliability_curve_shows_every_bin(trial: Trial) -> None:
    (axes,) = draw_reliability(trial.evaluation).axes
    drawn = np.asarray(axes.lines[1].get_xydata()).tolist()
    assert drawn == [[one.confidence, one.accuracy] for one in trial.evaluation.reliability]


def test_the_slices_are_named_with_their_rows_and_bars_may_lie_outside_their_interval(trial: Trial) -> None:
    name, metrics = next(iter(trial.evaluation.slices.items()))
    odd = replace(metrics, values={"macro_f1": Estimate(0.5, 0.6, 0.7)})
    figure = draw_slices(replace(trial.evaluation, slices={name: odd}))

    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"{name} ({metrics.rows:,})"]
    figure.savefig(BytesIO())


def test_drawing_leaves_matplotlibs_global_state_alone() -> None:
    code = "import sys, training.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
