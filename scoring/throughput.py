"""Whether scoring is as fast as it was: the rows a second of a day's runs beside the runs before.

A run's seconds are what it takes to start and what its rows take: a line through the runs before, by medians of slopes
(Theil, 1950; Sen, *JASA* 63, 1968), which a few odd runs do not bend. How far the runs lie off it tells what is usual:
beyond three deviations, as the median absolute deviation tells them, is odd (Hampel, *JASA* 69, 1974), and so is only
what takes half as long again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from scoring.checks import THROUGHPUT, Check, Usual

if TYPE_CHECKING:
    import duckdb

Floats: TypeAlias = NDArray[np.float64]

FEWEST_RUNS: Final = 10
_HISTORY_RUNS: Final = 100
_DEVIATIONS: Final = 3.0
_NORMAL_MAD: Final = 1.4826
_SMALL_SLOWDOWN: Final = 1.5
_WINDOW: Final = timedelta(days=1)
_RUNS: Final = Path(__file__).with_name("scoring_runs.sql")


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows and seconds of scoring runs, in any order."""

    rows: Floats
    seconds: Floats


def find_usual_speed(history: Runs, newest: Runs) -> Usual | None:
    """What rows a second the newest runs should have had together; None if there are too few runs before, or none now.

    Examples
    --------
    >>> before = Runs(np.array([1e3, 2e3] * 6), np.array([3.0, 4.0] * 6))  # 2 s, and 1 s for 1,000 rows
    >>> usual = find_usual_speed(before, Runs(np.array([2e3, 4e3]), np.array([4.0, 6.0])))
    >>> usual.expected, usual.low
    (600.0, 400.0)
    """
    if len(history.rows) < FEWEST_RUNS or not len(newest.rows):
        return None
    slope, start = 0.0, float(np.median(history.seconds))
    if np.ptp(history.rows) > 0:
        slope, start, *_ = map(float, theilslopes(history.seconds, history.rows))
    shortest = float(history.seconds.min())

    def foretell(rows: Floats) -> Floats:
        return np.maximum(start + slope * rows, min(shortest, 1e-3))

    off = np.log(np.maximum(history.seconds, 1e-3) / foretell(history.rows))
    centre = float(np.median(off))
    spread = float(np.median(np.abs(off - centre))) * _NORMAL_MAD
    # Of several runs the mean is looked at, which is less off than one.
    reach = _DEVIATIONS * spread
    expected = float(newest.rows.sum() / (foretell(newest.rows).sum() * np.exp(centre)))
    return Usual(expected, expected / max(float(np.exp(reach)), _SMALL_SLOWDOWN))


def check_throughput(connection: "duckdb.DuckDBPyConnection", model: str, now: datetime) -> Check:
    """Judge a model's scoring runs of the last day by those before."""
    since = now - _WINDOW
    found = connection.execute(
        _RUNS.read_text(encoding="utf-8"), {"model": model, "now": now, "runs": _HISTORY_RUNS}
    ).fetchall()
    newest, history = ([one for one in found if (one[0] >= since) is is_new] for is_new in (True, False))
    ran, before = _collect(newest), _collect(history)
    value = float(ran.rows.sum() / ran.seconds.sum()) if newest else None
    ends_at = newest[0][0] if newest else now  # of the last run: looked at again, it is the same window
    return Check(THROUGHPUT, model, since, ends_at, value, find_usual_speed(before, ran))


def _collect(runs: list[tuple[datetime, int, float]]) -> Runs:
    rows = np.array([rows for _, rows, _ in runs], dtype=np.float64)
    return Runs(rows, np.maximum(np.array([seconds for _, _, seconds in runs], dtype=np.float64), 1e-3))
