"""An alarm is k of the last n windows and the newest."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.errors import BadData
from scoring.alarm import Alarm, AlarmRule, WindowVerdict, judge_windows

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def build_verdicts(pattern: str) -> list[WindowVerdict]:
    """One window a day, the oldest first; x violates."""
    return [WindowVerdict(START + n * DAY, START + n * DAY, mark == "x") for n, mark in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "violations", "windows", "is_on", "began_on_day"),
    [
        ("", 2, 3, False, None),
        ("x", 2, 3, False, None),
        ("xx", 2, 3, True, 0),
        ("x.x", 2, 3, True, 0),
        ("x..x", 2, 3, False, None),
        ("xx.", 2, 3, False, None),
        (".....xxx", 2, 3, True, 5),
        ("xx..xx", 2, 3, True, 4),
        ("xx.xx", 2, 3, True, 1),
        ("xxxxxx", 2, 3, True, 0),
        ("..x", 1, 1, True, 2),
        ("x.xx", 3, 4, True, 0),
        ("xxx", 4, 4, False, None),
    ],
)
def test_k_of_the_last_n_windows_and_the_newest(
    *, pattern: str, violations: int, windows: int, is_on: bool, began_on_day: int | None
) -> None:
    alarm = judge_windows(build_verdicts(pattern), AlarmRule(violations, windows))
    began_at = None if began_on_day is None else START + began_on_day * DAY
    assert (alarm.is_on, alarm.began_at) == (is_on, began_at)


def test_checks_of_one_window_count_once_and_the_latest_does() -> None:
    first, second = build_verdicts("xx")
    again = WindowVerdict(second.window_to, second.checked_at + DAY, is_violated=True)
    assert judge_windows([second, again], AlarmRule()) == Alarm(is_on=False, began_at=None, violations=1, windows=1)
    better = WindowVerdict(second.window_to, second.checked_at + DAY, is_violated=False)
    assert not judge_windows([first, second, better], AlarmRule()).is_on
    late = WindowVerdict(first.window_to, first.checked_at + DAY / 2, is_violated=True)
    assert judge_windows([first, late, second], AlarmRule()).began_at == first.checked_at


@pytest.mark.parametrize(
    ("pattern", "began_on_day"),
    [
        ("xx.xx", 0),
        ("xx.......xx", 9),  # on at day 1 and at day 10: windows of seven days have nothing in common
        ("xx.....xx", 0),  # on at day 1, not at 2 to 7, on again at day 8
        ("xx.x.x", 0),
        ("x......xx", 7),  # one odd window is no alarm
        ("xx.....x.", None),
    ],
)
def test_of_windows_that_overlap_an_alarm_that_comes_again_is_the_same(pattern: str, began_on_day: int | None) -> None:
    alarm = judge_windows(build_verdicts(pattern), AlarmRule(), overlap=7 * DAY)
    assert alarm.began_at == (None if began_on_day is None else START + began_on_day * DAY)


@given(st.text("x.", max_size=12), st.integers(1, 5), st.integers(0, 4), st.randoms())
def test_an_alarm_is_what_counting_says_whatever_the_order(
    pattern: str, violations: int, more: int, random: Random
) -> None:
    windows = violations + more
    verdicts = build_verdicts(pattern)
    random.shuffle(verdicts)
    alarm = judge_windows(verdicts, AlarmRule(violations, windows))
    is_on = pattern.endswith("x") and pattern[-windows:].count("x") >= violations
    assert (alarm.is_on, alarm.violations) == (is_on, pattern[-windows:].count("x"))
    repeated = [WindowVerdict(one.window_to, one.checked_at - DAY / 2, not one.is_violated) for one in verdicts]
    assert judge_windows([*repeated, *verdicts], AlarmRule(violations, windows)) == alarm


def test_a_rule_that_can_never_be_met_is_refused() -> None:
    with pytest.raises(BadData, match="an alarm needs 1 to 2 violations among 2 windows, found 3"):
        AlarmRule(3, 2)
