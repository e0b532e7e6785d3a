"""A day that is unlike the days before it is found on that day, and quiet days seldom are."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from scoring.detection import DriftColumns, PastDays, detect_drift
from scoring.newest_day import judge_columns, judge_newest
from scoring.thresholds import Rhythm

ROWS_A_DAY = 150
COLUMNS = DriftColumns(("text_chars", "like_count", "confidence"), ("label",))


def make_days(seed: int, days: int = 35) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    rows = days * ROWS_A_DAY
    frame = pd.DataFrame(
        {
            "text_chars": rng.lognormal(4, 0.7, rows),
            "like_count": np.log1p(rng.poisson(0.5, rows)),
            "confidence": rng.beta(5, 2, rows),
            "label": rng.choice(["negative", "neutral", "positive"], rows, p=[0.3, 0.3, 0.4]).astype(object),
        }
    )
    return frame, np.repeat(np.arange(days - 1, -1, -1), ROWS_A_DAY)


def list_odd(frame: pd.DataFrame, days: NDArray[np.int64], rate: float = 0.0025) -> list[str]:
    return [name for name, off, threshold in judge_columns(frame, days, rate) if off >= threshold]


@pytest.mark.parametrize(
    ("column", "value"),
    [("like_count", np.nan), ("like_count", 3.0), ("text_chars", 20.0), ("label", "neutral"), ("confidence", 0.4)],
)
def test_what_breaks_at_once_is_odd_on_that_day_and_on_the_next(column: str, value: object) -> None:
    frame, days = make_days(1)
    frame.loc[days == 0, column] = value
    assert list_odd(frame, days) == [column]
    frame.loc[days == 1, column] = value
    assert list_odd(frame, days) == [column]


def test_a_day_after_broken_ones_is_quiet_again_and_a_new_level_is_soon_history() -> None:
    frame, days = make_days(2)
    frame.loc[(days > 0) & (days < 5), "like_count"] = np.nan
    assert list_odd(frame, days) == []
    frame, days = make_days(2)
    frame.loc[days < 6, "text_chars"] *= 3
    assert list_odd(frame, days) == ["text_chars"]
    frame, days = make_days(2)
    frame.loc[days < 21, "text_chars"] *= 3
    assert list_odd(frame, days) == []


def test_of_many_quiet_days_a_share_is_odd_that_was_asked_for() -> None:
    odd = [bool(list_odd(*make_days(seed), rate=0.05)) for seed in range(300)]
    assert np.mean(odd) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_a_day_is_beside_the_days_of_its_weekday_only() -> None:
    by_day = np.tile([10.0, 10, 2, 2, 2, 2, 2], 5) + np.resize([0.1, -0.1], 35)
    off, threshold = judge_newest(by_day, 0.001) or (np.nan, np.nan)
    assert off < threshold
    by_day[0] = 2.0
    off, threshold = judge_newest(by_day, 0.001) or (np.nan, np.nan)
    assert off > 10 * threshold


def test_the_bound_is_the_prediction_interval_of_a_weekday() -> None:
    rng = np.random.default_rng(3)
    by_day = rng.uniform(-1, 1, 35)  # nothing lies far off: all days count
    weeks = by_day[7:].reshape(4, 7)
    own = by_day[1:7]
    groups = [weeks[:, 0], *(np.append(weeks[:, day], own[day - 1]) for day in range(1, 7))]
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in groups)
    bound = student.ppf(0.995, 34 - 7) * np.sqrt(squares / (34 - 7) * (1 + 1 / 4))
    found = judge_newest(by_day, 0.01)
    assert found is not None
    assert found == pytest.approx((abs(by_day[0] - weeks[:, 0].mean()), bound))


@pytest.mark.parametrize(("days", "is_known"), [(21, False), (22, True), (35, True)])
def test_three_weeks_of_days_are_needed(days: int, *, is_known: bool) -> None:
    assert bool(list(judge_columns(*make_days(4, days), 0.01))) is is_known


def test_days_of_few_comments_say_nothing() -> None:
    frame, days = make_days(5)
    kept = (days > 0) | (np.arange(len(days)) % 4 == 0)
    assert list(judge_columns(frame[kept], days[kept], 0.01)) == []


def test_drift_of_the_newest_day_is_told_beside_that_of_the_window() -> None:
    frame, days = make_days(6)
    frame.loc[days == 0, "label"] = "neutral"
    is_current = days < 7
    past = PastDays(days, Rhythm(7, 28), 0.005)
    report = detect_drift(frame[~is_current], frame[is_current], columns=COLUMNS, past=past)
    assert report.drifted() == ("label (newest day)",)
    assert report.is_violated
    assert report.has_drifted_predictions
    (check,) = [check for check in report.checks if check.is_drifted]
    assert (check.kind, check.method, check.current_rows) == ("predicted day", "newest_day", ROWS_A_DAY)
