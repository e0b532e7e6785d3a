"""When what a window shows is an alarm: k of the last n windows, and the newest of them.

One window in a hundred is odd by chance, and a person who is called for each does not come for the real one. Pure: what
a window's verdict is belongs to whoever compares it, what follows from an alarm to `healing` and to the flows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feature_repo.errors import BadData


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """An alarm is on if at least `violations` of the last `windows` windows violate, the newest among them."""

    violations: int = 2
    windows: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.violations <= self.windows:
            raise BadData(
                f"an alarm needs 1 to {self.windows} violations among {self.windows} windows, found {self.violations}"
            )


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """What one check said of the window that ends at `window_to`; a later check of the same window replaces it."""

    window_to: datetime
    checked_at: datetime
    is_violated: bool


@dataclass(frozen=True, slots=True)
class Alarm:
    """Whether the alarm is on; since when, and how many of how many windows violate.

    `began_at` is the check of the first violation that the alarm, unbroken since, rests on; None if it is off.
    """

    is_on: bool
    began_at: datetime | None
    violations: int
    windows: int


def judge_windows(verdicts: Sequence[WindowVerdict], rule: AlarmRule) -> Alarm:
    """Judge the verdicts on a model's windows, in any order; each window counts once, by its latest check.

    >>> from datetime import timedelta, timezone
    >>> day = [datetime(2026, 10, number, tzinfo=timezone.utc) for number in range(1, 4)]
    >>> odd = [WindowVerdict(day[0], day[0], True), WindowVerdict(day[0], day[1], True)]
    >>> judge_windows(odd, AlarmRule()).is_on
    False
    >>> judge_windows([*odd, WindowVerdict(day[2], day[2], True)], AlarmRule()).is_on
    True
    """
    ordered = _keep_latest(verdicts)
    last = ordered[-rule.windows :]
    count = sum(one.is_violated for one in last)
    began_at = None
    for end in range(len(ordered), 0, -1):
        seen = ordered[max(0, end - rule.windows) : end]
        if not _is_on(seen, rule):
            break
        first = next(one for one in seen if one.is_violated)
        began_at = min(one.checked_at for one in verdicts if one.is_violated and one.window_to == first.window_to)
    return Alarm(began_at is not None, began_at, count, len(last))


def list_alarms(verdicts: Sequence[WindowVerdict], rule: AlarmRule) -> list[datetime]:
    """The ends of the windows at which the alarm was on, in order.

    >>> from datetime import timedelta, timezone
    >>> day = [datetime(2026, 10, number, tzinfo=timezone.utc) for number in range(1, 5)]
    >>> odd = [WindowVerdict(at, at, at.day != 3) for at in day]
    >>> [at.day for at in list_alarms(odd, AlarmRule())]
    [2, 4]
    """
    ordered = _keep_latest(verdicts)
    ends = range(1, len(ordered) + 1)
    return [ordered[end - 1].window_to for end in ends if _is_on(ordered[max(0, end - rule.windows) : end], rule)]


def _keep_latest(verdicts: Sequence[WindowVerdict]) -> list[WindowVerdict]:
    ordered = sorted(verdicts, key=lambda one: one.checked_at)
    return sorted({one.window_to: one for one in ordered}.values(), key=lambda one: one.checked_at)


def _is_on(seen: Sequence[WindowVerdict], rule: AlarmRule) -> bool:
    return seen[-1].is_violated and sum(one.is_violated for one in seen) >= rule.violations
