"""The daily budget of the YouTube Data API: what a call costs, when a day ends, what is left of it.

A day ends at midnight Pacific time, as YouTube's own does. Asking YouTube belongs to `youtube_client`.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from feature_repo.lake import Lake, read_lake
from feature_repo.sources.youtube_faults import QuotaSpent

if TYPE_CHECKING:
    import duckdb

Clock = Callable[[], datetime]

# Units per call as documented; a call that fails costs them too.
UNITS: Final = {
    "channels": 1,
    "playlistItems": 1,
    "videos": 1,
    "commentThreads": 1,
    "comments": 1,
}
_PACIFIC: Final = ZoneInfo("America/Los_Angeles")
_SPENT: Final = "select coalesce(sum(units), 0) from ops.quota where resets_at = $resets_at and run_id <> $run_id"
_FORGET: Final = "delete from ops.quota where run_id = $run_id"
_APPEND: Final = "insert into ops.quota by name select unnest($rows, recursive := true)"


def find_reset(at: datetime) -> datetime:
    """The first midnight in Pacific time after an instant, in the zone of the instant.

    Examples
    --------
    >>> from datetime import UTC
    >>> find_reset(datetime(2026, 11, 20, 7, 59, tzinfo=UTC)).isoformat()
    '2026-11-20T08:00:00+00:00'
    >>> find_reset(datetime(2026, 7, 20, 7, 0, tzinfo=UTC)).isoformat()
    '2026-07-21T07:00:00+00:00'
    """
    day = at.astimezone(_PACIFIC).date() + timedelta(days=1)
    return datetime.combine(day, time(), _PACIFIC).astimezone(at.tzinfo)


class Quota:
    """The units of one run, counted against what all runs of the day may use together.

    Runs at the same time do not see each other's units until they are written with the next rows, so that
    two of them may together use a little more than the budget.

    Parameters
    ----------
    units_per_day
        The budget.
    clock
        Tells the instant of each call.
    """

    def __init__(self, lake: Lake, run_id: str, *, units_per_day: int, clock: Clock) -> None:
        self.units_per_day = units_per_day
        self._lake = lake
        self._run_id = run_id
        self.clock = clock
        self._calls: Counter[tuple[datetime, str]] = Counter()
        self._others: dict[datetime, int] = {}

    def take(self, method: str) -> datetime:
        """Count a call that is about to be made; its instant. Raises `QuotaSpent` if the budget does not allow it."""
        at = self.clock()
        resets_at = find_reset(at)
        spent = self.read_spent(resets_at)
        if spent + UNITS[method] > self.units_per_day:
            raise QuotaSpent(
                f"the budget of {self.units_per_day:,} units a day is used up ({spent:,} used); "
                "it is SCORELAKE_YOUTUBE_DAILY_UNITS"
            )
        self._calls[resets_at, method] += 1
        return at

    def read_spent(self, resets_at: datetime) -> int:
        """Units of the day that ends then, those of all runs."""
        if resets_at not in self._others:
            self._others[resets_at] = self._read_others(resets_at)
        return self._others[resets_at] + self._count_units(resets_at)

    @property
    def calls(self) -> dict[str, int]:
        """Calls of this run by method."""
        counts: Counter[str] = Counter()
        for (_, method), calls in self._calls.items():
            counts[method] += calls
        return dict(counts)

    @property
    def resets_at(self) -> datetime:
        """When the units that a call now would use come back."""
        return find_reset(self.clock())

    def replace_calls(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Write the calls of this run so far, within the caller's transaction."""
        connection.execute(_FORGET, {"run_id": self._run_id})
        rows = [
            {
                "run_id": self._run_id,
                "resets_at": resets_at,
                "method": method,
                "calls": calls,
                "units": calls * UNITS[method],
            }
            for (resets_at, method), calls in sorted(self._calls.items())
        ]
        if rows:
            connection.execute(_APPEND, {"rows": rows})
        self._others.clear()  # others may have written theirs meanwhile

    def _count_units(self, resets_at: datetime) -> int:
        return sum(calls * UNITS[method] for (day, method), calls in self._calls.items() if day == resets_at)

    def _read_others(self, resets_at: datetime) -> int:
        with read_lake(self._lake) as connection:
            values = {"resets_at": resets_at, "run_id": self._run_id}
            return int(connection.execute(_SPENT, values).fetchall()[0][0])
