"""The trend of what is watched, as one picture: drift, volume, late labels, throughput, with bounds and alarms.

What is drawn is read from `monitoring.*`; nothing is judged here but when an alarm was on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from scoring.alarm import AlarmRule, WindowVerdict, list_alarms
from scoring.checks import THROUGHPUT, VOLUME, read_check_verdicts
from scoring.monitor import read_verdicts
from scoring.performance import ALL, read_week_verdicts

if TYPE_CHECKING:
    import duckdb
    from matplotlib.axes import Axes

_DRIFT: Final = Path(__file__).with_name("trend.sql")
_WINDOWS: Final = 90
_COLOURS: Final = {
    "data": "#2b6cb0",
    "prediction": "#c05621",
    "quality": "#718096",
    "day": "#90cdf4",
    "predicted day": "#fbd38d",
}
_NAMES: Final = {
    "data": "features",
    "prediction": "predictions",
    "quality": "nulls",
    "day": "newest day",
    "predicted day": "its predictions",
}
_RED: Final = "#c53030"
_BAND: Final = "#bee3f8"
_TOP: Final = 5.0  # times a threshold; what is further off is drawn here


@dataclass(frozen=True, slots=True)
class Counted:
    """A check's value of a window, with what is usual and the bounds, as far as there are any."""

    window_to: datetime
    value: float
    expected: float | None
    low: float | None
    high: float | None
    is_violated: bool


@dataclass(frozen=True, slots=True)
class Week:
    """A week's accuracy on late labels with its interval, and what was promised."""

    week_on: date
    accuracy: float
    low: float
    high: float
    promised: float
    is_violated: bool


@dataclass(frozen=True, slots=True)
class Trend:
    """What a model's last windows showed, the oldest first; `alarms` are ends of windows with an alarm, by panel."""

    model: str
    drift: tuple[tuple[datetime, str, float, str], ...]  # end of the window, kind, score over threshold, column
    volume: tuple[Counted, ...]
    throughput: tuple[Counted, ...]
    weeks: tuple[Week, ...]
    alarms: dict[str, list[datetime]]


def read_trend(connection: "duckdb.DuckDBPyConnection", model: str, rule: AlarmRule) -> Trend:
    """Read what the last windows of a model showed."""
    drift = connection.execute(_DRIFT.read_text(encoding="utf-8"), {"model": model}).fetchall()
    shown = sorted({row[0] for row in drift})[-_WINDOWS:]
    weeks = connection.execute(
        "select week_on, accuracy, accuracy_low, accuracy_high, promised_accuracy, is_violated "
        "from monitoring.performance where model = ? and slice = ? and is_judged order by week_on, model_version",
        [model, ALL],
    ).fetchall()
    verdicts: dict[str, Sequence[WindowVerdict]] = {
        "drift": read_verdicts(connection, model),
        VOLUME: read_check_verdicts(connection, VOLUME, None),
        THROUGHPUT: read_check_verdicts(connection, THROUGHPUT, model),
        "weeks": read_week_verdicts(connection, model),
    }
    return Trend(
        model,
        tuple(row for row in drift if row[0] in shown),
        _read_counted(connection, VOLUME, None),
        _read_counted(connection, THROUGHPUT, model),
        tuple(Week(*row) for row in weeks[-_WINDOWS:]),
        {name: list_alarms(some, rule) for name, some in verdicts.items()},
    )


def _read_counted(connection: "duckdb.DuckDBPyConnection", name: str, model: str | None) -> tuple[Counted, ...]:
    rows = connection.execute(
        "select window_to, value, expected, low, high, is_violated from monitoring.checks "
        "where check_name = ? and model is not distinct from ? and value is not null "
        "qualify row_number() over (partition by window_to order by checked_at desc, run_id desc) = 1 "
        "order by window_to",
        [name, model],
    ).fetchall()
    return tuple(Counted(*row) for row in rows[-_WINDOWS:])


def draw_trend(trend: Trend) -> str:
    """Draw a trend, as SVG: the same trend gives the same text."""
    figure = Figure(figsize=(11, 10), layout="constrained")
    axes: list[Axes] = list(figure.subplots(4, 1))
    _draw_drift(axes[0], trend)
    _draw_counted(axes[1], trend.volume, "comments a day", trend.alarms[VOLUME])
    _draw_weeks(axes[2], trend)
    _draw_counted(axes[3], trend.throughput, "scored rows a second", trend.alarms[THROUGHPUT])
    for one in axes:
        _tidy(one)
    figure.suptitle(f"{trend.model}: red points are odd, red lines are alarms")
    text = StringIO()
    with mpl.rc_context({"svg.hashsalt": "scorelake"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw_drift(axes: "Axes", trend: Trend) -> None:
    for kind, colour in _COLOURS.items():
        points = [(at, min(nearness, _TOP)) for at, its_kind, nearness, _ in trend.drift if its_kind == kind]
        if points:
            at, nearness = zip(*points, strict=True)
            axes.plot(at, nearness, marker="o", markersize=3, color=colour, label=_NAMES[kind])
    odd = [(at, min(nearness, _TOP)) for at, _, nearness, _ in trend.drift if nearness >= 1]
    _mark(axes, odd, trend.alarms["drift"])
    if trend.drift:
        axes.axhline(1, color=_RED, linestyle="--", linewidth=1, label="threshold")
        axes.legend(loc="upper left", ncols=3, frameon=False)
    axes.set(ylabel="largest distance\nover its threshold", ylim=(0, None))


def _draw_counted(axes: "Axes", counted: Sequence[Counted], name: str, alarms: Sequence[datetime]) -> None:
    if counted:
        axes.plot(_list_ends(counted), [one.value for one in counted], marker="o", markersize=3)
    known = [one for one in counted if one.low is not None]
    if known:
        top = max(one.value for one in counted) * 1.1
        low, high = [one.low or 0 for one in known], [min(one.high or top, top) for one in known]
        axes.fill_between(_list_ends(known), low, high, color=_BAND, linewidth=0, label="usual")
        axes.legend(loc="upper left", frameon=False)
    _mark(axes, [(one.window_to, one.value) for one in counted if one.is_violated], alarms)
    axes.set(ylabel=name, ylim=(0, None))


def _draw_weeks(axes: "Axes", trend: Trend) -> None:
    begins: Any = [_begin(one) for one in trend.weeks]
    if begins:
        reach = [(max(one.accuracy - one.low, 0), max(one.high - one.accuracy, 0)) for one in trend.weeks]
        errors = [list(side) for side in zip(*reach, strict=True)]
        axes.errorbar(begins, [one.accuracy for one in trend.weeks], yerr=errors, fmt="o", markersize=3, capsize=3)
        promised = [one.promised for one in trend.weeks]
        axes.plot(begins, promised, color=_RED, linestyle="--", linewidth=1, label="promised")
        axes.legend(loc="lower left", frameon=False)
    weeks = [end - timedelta(weeks=1) for end in trend.alarms["weeks"]]
    _mark(axes, [(_begin(one), one.accuracy) for one in trend.weeks if one.is_violated], weeks)
    axes.set(ylabel="accuracy on late labels\nby week, 95 % interval", ylim=(None, 1))


def _begin(week: Week) -> datetime:
    return datetime.combine(week.week_on, time(), UTC)


def _list_ends(counted: Sequence[Counted]) -> Any:
    return [one.window_to for one in counted]  # matplotlib takes instants; its types do not say so


def _mark(axes: "Axes", odd: Sequence[tuple[datetime, float]], alarms: Sequence[datetime]) -> None:
    if odd:
        ends, values = zip(*odd, strict=True)
        axes.scatter(ends, values, color=_RED, s=25, zorder=3)
    for at in alarms:
        axes.axvline(at.timestamp() / 86_400, color=_RED, alpha=0.4, linewidth=1.5)  # matplotlib counts days since 1970


def _tidy(axes: "Axes") -> None:
    if not axes.lines and not axes.collections:
        axes.text(0.5, 0.5, "nothing yet", transform=axes.transAxes, ha="center", color=_COLOURS["quality"])
        axes.set_xticks([])
    else:
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # the same
    axes.spines[["top", "right"]].set_visible(False)
