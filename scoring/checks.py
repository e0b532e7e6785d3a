"""A check: what was counted in a window, beside what is usual; kept in `monitoring.checks`, and judged as an alarm.

What is counted, and what is usual, is up to `volume` and `throughput`.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from scoring.alarm import Alarm, AlarmRule, WindowVerdict, judge_windows

if TYPE_CHECKING:
    import duckdb

VOLUME: Final = "volume"
REFUSED_ROWS: Final = "refused_rows"
THROUGHPUT: Final = "throughput"
FRESHNESS: Final = "freshness"
_READ: Final = 200  # far enough back to know when an alarm began


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual, and from where to where a value may be; no bound where None is."""

    expected: float | None
    low: float | None = None
    high: float | None = None

    def contains(self, value: float) -> bool:
        """Whether a value is within the bounds."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Check:
    """What was found in a window, and what is usual: None if there is too little history to know."""

    name: str
    model: str | None
    window_from: datetime
    window_to: datetime
    value: float | None
    usual: Usual | None

    @property
    def is_violated(self) -> bool:
        """Whether the value is known to be odd."""
        return self.value is not None and self.usual is not None and not self.usual.contains(self.value)


def append_checks(
    connection: "duckdb.DuckDBPyConnection", checks: Sequence[Check], *, run_id: str, now: datetime
) -> None:
    """Append checks to `monitoring.checks`, within the caller's transaction."""
    for one in checks:
        usual = astuple(one.usual) if one.usual else (None, None, None)
        row = [
            run_id, one.name, one.model, now, one.window_from, one.window_to,
            one.value, *usual, one.usual is not None and one.value is not None, one.is_violated,
        ]  # fmt: skip
        marks = ", ".join("?" for _ in row)
        connection.execute(f"insert into monitoring.checks values ({marks})", row)  # noqa: S608 - marks only


def judge_check(connection: "duckdb.DuckDBPyConnection", name: str, model: str | None, rule: AlarmRule) -> Alarm:
    """Judge the windows of a check; those without a verdict are none."""
    return judge_windows(read_check_verdicts(connection, name, model), rule)


def read_check_verdicts(
    connection: "duckdb.DuckDBPyConnection", name: str, model: str | None
) -> tuple[WindowVerdict, ...]:
    """Read the newest verdicts of a check, the newest first."""
    rows = connection.execute(
        "select window_to, checked_at, is_violated from monitoring.checks "
        "where check_name = ? and model is not distinct from ? and is_judged order by checked_at desc limit ?",
        [name, model, _READ],
    ).fetchall()
    return tuple(WindowVerdict(*row) for row in rows)
