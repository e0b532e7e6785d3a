import numpy as np
import pytest

from training.coverage import measure_coverage
from training.evaluate import JudgedRows
from training.metrics import compute_metrics, resample_groups


def draw(rows: int, groups: int, seed: int = 0) -> tuple[JudgedRows, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    probabilities = rng.dirichlet([1, 1, 1], rows) + 0.4 * np.eye(3)[labels]
    codes = np.unique(rng.integers(0, groups, rows), return_inverse=True)[1]
    judged = JudgedRows(("a", "b", "c"), np.arange(rows), labels, codes.astype(np.int64), {}, 0)
    return judged, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_a_curve_one_can_check_by_hand() -> None:
    rows = JudgedRows(("ham", "spam"), np.arange(4), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), {}, 0)
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.4, 0.6]])
    found = measure_coverage(rows, probabilities, (0.0, 0.6, 0.85, 0.95))

    assert [(one.rows, one.share.value) for one in found] == [(4, 1), (3, 0.75), (1, 0.25), (0, 0)]
    assert [one.accuracy.value if one.accuracy else None for one in found] == [0.75, 1, 1, None]
    assert all(one.macro_f1 is None for one in found), "a label with fewer than ten rows says nothing"


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.5, 0.6])
def test_figures_and_intervals_are_those_of_the_decided_rows_alone(threshold: float) -> None:
    """The oracle keeps the decided rows and measures them as if there were no others."""
    rows, probabilities = draw(800, 40)
    (found,) = measure_coverage(rows, probabilities, (threshold,))

    is_decided = probabilities.max(axis=1) >= threshold
    tally = rows.tally(probabilities, is_decided)
    expected = compute_metrics(tally.sum(axis=0), rows.classes)
    drawn = compute_metrics(resample_groups(tally), rows.classes)
    assert found.rows == is_decided.sum()
    assert found.share.value == pytest.approx(is_decided.mean())
    assert found.share.low <= found.share.value <= found.share.high
    for name, one in (("accuracy", found.accuracy), ("macro_f1", found.macro_f1)):
        assert one is not None
        assert one.value == pytest.approx(float(expected[name]))
        assert (one.low, one.high) == pytest.approx(tuple(np.percentile(drawn[name], [2.5, 97.5])))


def test_a_higher_threshold_never_decides_more() -> None:
    rows, probabilities = draw(500, 30, seed=3)
    shares = [one.share.value for one in measure_coverage(rows, probabilities)]
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
