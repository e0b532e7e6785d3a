import time
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from training.metrics import (
    build_estimate,
    compute_metrics,
    estimate_metrics,
    resample_groups,
    tally_groups,
)

CLASSES = ("a", "b", "c")


def draw(rows: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    probabilities = rng.dirichlet([1, 1, 1], rows) + 0.4 * np.eye(3)[labels]
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True), rng.integers(0, groups, rows)


def measure(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    sums = tally_groups(labels, probabilities, np.zeros(len(labels), dtype=np.int64), 1).sum(axis=0)
    return {name: float(value) for name, value in compute_metrics(sums, CLASSES).items()}


def test_figures_on_a_table_one_can_check_by_hand() -> None:
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.0, 0.9, 0.1], [0.5, 0.5, 0.0]])
    found = measure(labels, probabilities)

    assert found["accuracy"] == 2 / 4
    assert (found["precision_a"], found["recall_a"], found["f1_a"]) == (1 / 2, 1 / 2, 1 / 2)
    assert [found["precision_b"], found["recall_b"], found["f1_b"]] == pytest.approx([1 / 2, 1, 2 / 3])
    assert (found["precision_c"], found["recall_c"], found["f1_c"]) == (0.0, 0.0, 0.0)
    assert found["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found["brier"] == pytest.approx((0.08 + 0.98 + 0.02 + 1.5) / 4)
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.3) + np.log(0.9) + np.log(1e-15)) / 4)
    # One bin each: |1 - 0.8|, |0 - 0.7|, |1 - 0.9|, |0 - 0.5|.
    assert found["ece"] == pytest.approx((0.2 + 0.7 + 0.1 + 0.5) / 4)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(0, 1000))
def test_figures_are_those_of_scikit_learn(rows: int, seed: int) -> None:
    labels, probabilities, _ = draw(rows, 1, seed)
    predicted = probabilities.argmax(axis=1)
    found = measure(labels, probabilities)

    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, probabilities, labels=[0, 1, 2]))
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        labels, predicted, labels=[0, 1, 2], zero_division=0
    )
    for code, name in enumerate(CLASSES):
        assert [found[f"{kind}_{name}"] for kind in ("precision", "recall", "f1")] == pytest.approx(
            [precision[code], recall[code], f1[code]]
        )


def test_calibration_error_is_that_of_the_plain_way() -> None:
    labels, probabilities, _ = draw(500, 1)
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for number in range(15):
        is_in = (confidence >= number / 15) & (confidence < (number + 1) / 15)
        if is_in.any():
            expected += is_in.mean() * abs(is_right[is_in].mean() - confidence[is_in].mean())
    assert measure(labels, probabilities)["ece"] == pytest.approx(expected)


def test_the_bootstrap_resamples_groups_and_not_rows() -> None:
    """The oracle draws groups one by one, puts their rows together and measures those."""
    labels, probabilities, groups = draw(200, 8)
    tally = tally_groups(labels, probabilities, groups, 8)
    drawn = compute_metrics(resample_groups(tally, resamples=20, seed=5), CLASSES)

    rng = np.random.default_rng(5)
    for resample, chosen in enumerate(rng.integers(0, 8, (20, 8))):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in chosen])
        expected = oracle.f1_score(labels[rows], probabilities[rows].argmax(axis=1), average="macro")
        assert drawn["macro_f1"][resample] == pytest.approx(expected)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Groups that are all right or all wrong: rows alone would give intervals ten times too narrow."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        labels = np.repeat(rng.random(60) < 0.7, 20).astype(np.int64)
        groups = np.repeat(np.arange(60), 20)
        probabilities = np.tile([0.0, 1.0], (1200, 1))
        accuracy = estimate_metrics(tally_groups(labels, probabilities, groups, 60), ("no", "yes")).values["accuracy"]
        hits += accuracy.low <= 0.7 <= accuracy.high
    assert 0.88 <= hits / 200 <= 0.99


def test_figures_do_not_depend_on_the_clock_or_the_order_of_rows() -> None:
    labels, probabilities, groups = draw(300, 20)
    order = np.random.default_rng(1).permutation(300)
    one = estimate_metrics(tally_groups(labels, probabilities, groups, 20), CLASSES)
    other = estimate_metrics(tally_groups(labels[order], probabilities[order], groups[order], 20), CLASSES)

    assert one.rows == other.rows == 300
    for name, estimate in one.values.items():
        assert astuple(estimate) == pytest.approx(astuple(other.values[name]))


def test_groups_without_rows_are_not_resampled() -> None:
    labels, probabilities, groups = draw(100, 5)
    assert estimate_metrics(tally_groups(labels, probabilities, groups, 5), CLASSES) == estimate_metrics(
        tally_groups(labels, probabilities, groups, 50), CLASSES
    )


def test_a_class_that_never_occurs_does_not_count_for_macro_f1() -> None:
    found = measure(np.array([0, 1]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]))
    assert (found["macro_f1"], found["f1_c"]) == (1.0, 0.0)


def test_an_estimate_is_the_percentile_interval() -> None:
    assert astuple(build_estimate(0.5, np.linspace(0, 1, 1001))) == pytest.approx((0.5, 0.025, 0.975))


def test_a_thousand_resamples_of_four_thousand_rows_take_under_two_seconds() -> None:
    tally = tally_groups(*draw(4_000, 4_000), 4_000)
    started = time.perf_counter()
    estimate_metrics(tally, CLASSES)
    assert time.perf_counter() - started < 2
