"""When what a window shows is an alarm: k of the last n windows, and the newest of them.

One window in a hundred is odd by chance, and a person who is called for each does not come for the real one. Pure: what
a window's verdict is belongs to whoever compares it, what follows from an alarm to `healing` and to the flows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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

    `began_at` is the check of the first violation that the alarm rests on; None if it is off. Where windows overlap, an
    alarm that comes again before a window's length is over is the same one.
    """

    is_on: bool
    began_at: datetime | None
    violations: int
    windows: int


def judge_windows(verdicts: Sequence[WindowVerdict], rule: AlarmRule, *, overlap: timedelta = timedelta()) -> Alarm:
    """Judge the verdicts on a model's windows, in any order; each window counts once, by its latest check.

    Parameters
    ----------
    overlap
        How long a window is, if following ones overlap: two alarms no further apart than that are one.

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
    first = _find_first(ordered, rule, overlap)
    if first is None:
        return Alarm(is_on=False, began_at=None, violations=count, windows=len(last))
    began_at = min(one.checked_at for one in verdicts if one.is_violated and one.window_to == first.window_to)
    return Alarm(is_on=True, began_at=began_at, violations=count, windows=len(last))


def _find_first(ordered: list[WindowVerdict], rule: AlarmRule, overlap: timedelta) -> WindowVerdict | None:
    """The first violation of the alarm that is on at the newest window; None if none is."""
    first, on_at = None, None
    for end in range(len(ordered), 0, -1):
        seen, window_to = ordered[max(0, end - rule.windows) : end], ordered[end - 1].window_to
        if _is_on(seen, rule):
            first, on_at = next(one for one in seen if one.is_violated), window_to
        elif on_at is None or on_at - window_to >= overlap:
            break
    return first


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
