"""Thresholds of permuted history: the same distances as Evidently's, whole days, weekdays among themselves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from scoring.thresholds import Rhythm, list_days, measure_deals, set_thresholds

RNG = np.random.default_rng(3)
DAYS = RNG.integers(0, 35, 3_000)
COLUMNS: dict[str, tuple[Any, str]] = {
    "counts with nulls": (np.where(RNG.random(3_000) < 0.2, np.nan, RNG.poisson(2, 3_000)), "wasserstein"),
    "numbers": (RNG.lognormal(0, 1, 3_000), "wasserstein"),
    "a constant": (np.full(3_000, 7.0), "wasserstein"),
    "classes": (RNG.choice(["ham", "spam", None], 3_000, p=[0.7, 0.2, 0.1]), "jensenshannon"),
    "nulls": (np.where(RNG.random(3_000) < 0.2, np.nan, 1.0), "null_share"),
}


def measure_plainly(current: "pd.Series[Any]", reference: "pd.Series[Any]", method: str) -> float:
    if method == "null_share":
        return float(abs(current.isna().mean() - reference.isna().mean()))
    current, reference = current.dropna(), reference.dropna()
    if method == "wasserstein":
        deviation = max(float(np.std(reference)), 0.001)
        return float(wasserstein_distance(reference, current)) / deviation
    classes = sorted({*current, *reference})
    shares = [[float((part == one).mean()) for one in classes] for part in (current, reference)]
    return float(jensenshannon(*shares))


@pytest.mark.parametrize("name", COLUMNS)
def test_all_deals_at_once_are_what_each_is_alone(name: str) -> None:
    values, method = pd.Series(COLUMNS[name][0]), COLUMNS[name][1]
    deals = Rhythm(7, 28).deal(20)
    found = measure_deals(values, DAYS, deals, method)
    for deal, distance in zip(deals, found, strict=True):
        is_current = deal[DAYS] == 1
        assert distance == pytest.approx(measure_plainly(values[is_current], values[~is_current], method))


def test_days_are_dealt_whole_and_a_weekday_stands_for_itself() -> None:
    deals = Rhythm(7, 28).deal(50)
    assert deals.shape == (51, 35)
    assert deals[0].tolist() == [1] * 7 + [0] * 28
    assert {tuple(deal.reshape(5, 7).sum(axis=0)) for deal in deals} == {(1,) * 7}
    assert len({tuple(deal) for deal in deals}) > 45
    assert set(Rhythm(4, 16).deal(50).sum(axis=1)) == {4}


@pytest.mark.parametrize(
    ("window", "reference", "can_tell"), [(7, 28, True), (7, 21, True), (7, 14, False), (1, 28, False), (4, 16, True)]
)
def test_too_few_days_tell_nothing(*, window: int, reference: int, can_tell: bool) -> None:
    assert Rhythm(window, reference).can_tell(0.005) is can_tell


def test_the_largest_of_all_columns_exceeds_its_threshold_as_often_as_was_asked() -> None:
    deals = Rhythm(7, 28).deal()
    columns = [pd.Series(RNG.lognormal(0, 1 + number / 5, 3_000)) for number in range(6)]
    distances = {str(number): measure_deals(one, DAYS, deals, "wasserstein") for number, one in enumerate(columns)}
    thresholds = set_thresholds(distances, 0.05)
    odd = np.any([distances[name] > limit for name, limit in thresholds.items()], axis=0)
    assert odd.sum() == 50  # of 1,000 deals
    assert set_thresholds({}, 0.05) == {}


def test_instants_are_counted_in_days_back_from_the_end_of_the_window() -> None:
    end = np.datetime64("2026-10-08T12:00:00.000001", "us")
    seen = ["2026-10-08T12:00:00", "2026-10-07T12:00:00.000001", "2026-10-07T12:00:00", "2026-09-03T12:00:00.000001"]
    assert list_days(np.array(seen, dtype="datetime64[us]"), end).tolist() == [0, 0, 1, 34]
