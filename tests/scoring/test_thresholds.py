"""Thresholds of permuted history: the same distances as Evidently's, whole days, weekdays among themselves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from scoring.thresholds import Rhythm, measure_deals

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
