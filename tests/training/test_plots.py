import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
from matplotlib.patches import Rectangle

from training.ablation import AblationPoint
from training.behaviour import BehaviourResult
from training.coverage import CoveragePoint
from training.evaluate import ReliabilityBin
from training.learning import LearningPoint
from training.metrics import Estimate
from training.plots import draw_all, draw_confusion, draw_coverage, draw_reliability, draw_slices
from training.trial import Trial

ESTIMATE = Estimate(0.7, 0.6, 0.8)


def test_the_confusion_matrix_shows_counts_and_shares_of_the_label(trial: Trial) -> None:
    figure = draw_confusion(
        replace(trial.evaluation, confusion=((30, 10, 0), (0, 5, 0), (0, 0, 0))), trial.spec.classes
    )
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]

    assert texts == ["30\n75%", "10\n25%", "0\n0%", "0\n0%", "5\n100%", "0\n0%", "0\n0%", "0\n0%", "0\n0%"]
    assert axes.get_title(loc="left") == "45 judged rows"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["negative", "neutral", "positive"]


def test_the_reliability_curve_joins_the_bins_that_have_rows(trial: Trial) -> None:
    bins = (ReliabilityBin(0.4, 1.0, 2), ReliabilityBin(0.6, 0.5, 10), ReliabilityBin(0.9, 0.8, 40))
    axes, below = draw_reliability(replace(trial.evaluation, reliability=bins)).axes

    assert np.asarray(axes.lines[1].get_xydata()).tolist() == [[0.6, 0.5], [0.9, 0.8]]
    assert np.asarray(axes.collections[0].get_offsets()).tolist() == [[0.4, 1.0]], "hollow, for it says little"
    assert [bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)] == [2, 10, 40]


def test_the_slices_are_named_with_their_rows_and_bars_may_lie_outside_their_interval(trial: Trial) -> None:
    name, metrics = next(iter(trial.evaluation.slices.items()))
    odd = replace(metrics, values={"macro_f1": Estimate(0.5, 0.6, 0.7)})
    figure = draw_slices(replace(trial.evaluation, slices={name: odd}))

    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"{name} ({metrics.rows:,})"]
    figure.savefig(BytesIO())


def test_the_coverage_curve_leaves_out_what_nobody_knows(trial: Trial) -> None:
    known = CoveragePoint(0.0, 100, Estimate(1, 1, 1), Estimate(0.8, 0.7, 0.9), Estimate(0.7, 0.6, 0.8))
    one_label = CoveragePoint(0.9, 20, Estimate(0.2, 0.1, 0.3), Estimate(0.9, 0.8, 1), None)
    nothing = CoveragePoint(1.0, 0, Estimate(0, 0, 0), None, None)
    (axes,) = draw_coverage(replace(trial.evaluation, coverage=(known, one_label, nothing))).axes

    accuracy, macro_f1, threshold = axes.lines
    assert np.asarray(accuracy.get_xydata()).tolist() == [[1, 0.8], [0.2, 0.9]]
    assert np.asarray(macro_f1.get_xydata()).tolist() == [[1, 0.7]]
    assert np.asarray(threshold.get_xdata())[0] == trial.evaluation.decided.share.value


def test_every_picture_there_is_something_to_draw_of_is_drawn(trial: Trial) -> None:
    points = (LearningPoint(share, rows, ESTIMATE, ESTIMATE) for share, rows in ((0.5, 50), (1.0, 100)))
    result = BehaviourResult("typos", "invariance", "label stays", 3, 2, ())
    ablation = (AblationPoint("valences", 0.6, Estimate(-0.1, -0.2, 0.0)),)
    whole = replace(trial.evaluation, learning=tuple(points), behaviours=(result,), ablation=ablation)

    usual = {"confusion", "reliability", "coverage", "slices"}
    assert draw_all(trial.evaluation, trial.spec.classes).keys() == usual
    drawn = draw_all(whole, trial.spec.classes)
    assert drawn.keys() == usual | {"learning", "behaviour", "ablation"}
    assert [text.get_text() for text in drawn["behaviour"].axes[0].texts] == ["2 of 3"]
    assert [label.get_text() for label in drawn["learning"].axes[0].get_xticklabels()] == ["50\n50%", "100\n100%"]
    assert [label.get_text() for label in drawn["ablation"].axes[0].get_yticklabels()] == ["without valences"]
    for figure in drawn.values():
        figure.savefig(BytesIO())


def test_drawing_leaves_matplotlibs_global_state_alone() -> None:
    code = "import sys, training.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
