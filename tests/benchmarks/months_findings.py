"""What the lake tells of the months: when each fault was noticed and by what, what was done, and how it all stands.

Read from `ops.*`, `monitoring.*` and `scores.*`. Of the story only the days are known here, to tell which alarm may be
about which fault; an alarm that may be about none is a false one.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from feature_repo.lake import read_lake
from flows.doctor import SomethingWrong, doctor
from flows.report import Grid, Report
from flows.settings import Settings
from flows.status import Status, read_status
from tests.benchmarks.months_story import BAD_MODEL, DAY, FAULTS, LATE_LABELS, START, Fault, find_morning

_WATCHED = ("drift", "performance", "volume", "refused_rows", "throughput", "freshness")
_ACTS = """
select details ->> 'act', count(*) from ops.runs
where kind = 'heal' and model = ? and started_at between ? and ?
group by 1 order by 1
"""
_VERDICTS = """
select action, count(*) from ops.promotions
where model = ? and run_id <> 'by-hand' and decided_at between ? and ?
group by 1 order by 1
"""
_RESCORED = """
select coalesce(sum(rows_out), 0) from ops.runs
where role = 'backfill' and model = ? and started_at between ? and ?
"""
_WEEKS = """
select week_on, sum(label_count), bool_or(is_judged) from monitoring.performance
where model = ? and slice = 'all' and week_on between date_trunc('week', cast(? as date)) and ?
group by 1 order by 1
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One alert: its key without the model, the model, and from when to when it was open."""

    name: str
    model: str | None
    opened_at: datetime
    closed_at: datetime | None
    subject: str


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one fault for one model; `windows` is None if it was missed or needs no alarm."""

    fault: Fault
    model: str
    by: str
    windows: int | None
    done: str
    closed: str
    is_missed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """All that the lake tells."""

    lines: tuple[Line, ...]
    false_alarms: tuple[Told, ...]
    others: dict[str, int]
    windows: tuple[tuple[object, ...], ...]
    state: dict[str, object]
    faults_of_state: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether no fault was missed, and all is well at the end."""
        return not self.faults_of_state and not any(line.is_missed for line in self.lines)


def find_out(settings: Settings, days: int, models: tuple[str, ...]) -> Found:
    """Read what became of every fault that began, and how things stand in the end."""
    begun = [fault for fault in FAULTS if fault.first < days]
    end = find_morning(days) + DAY
    with read_lake(settings.lake) as connection:
        told = _read_alerts(connection)
        lines = tuple(
            _trace(connection, fault, model, told)
            for fault in begun
            for model in (models[:1] if fault == BAD_MODEL else models)
        )
        is_about = {one for one in told for fault in begun if _is_about(one, fault, one.model)}
        state, wrong = _read_state(connection, models)
        windows = tuple(row for model in models for row in _count_windows(connection, model))
    status = read_status(end)
    wrong += _list_faults(status, models)
    state |= {"open alerts": "; ".join(one[1] for one in status.open_alerts) or "none", "doctor": _ask_doctor(end)}
    watched = [one for one in told if one.name in _WATCHED]
    return Found(
        lines,
        tuple(one for one in watched if one not in is_about),
        dict(Counter(f"{one.name}: {one.subject}" for one in told if one.name not in _WATCHED)),
        windows,
        state,
        (*wrong, *(["doctor"] if state["doctor"] != "well" else [])),
    )


def _read_alerts(connection: duckdb.DuckDBPyConnection) -> list[Told]:
    rows = connection.execute(
        "select key, model, opened_at, closed_at, subject from ops.alerts order by opened_at"
    ).fetchall()
    return [Told(key.removesuffix(f"/{model}"), model, *rest) for key, model, *rest in rows]


def _is_about(alert: Told, fault: Fault, model: str | None) -> bool:
    begin = find_morning(fault.first - 1)
    is_ours = fault != LATE_LABELS and alert.model == model and alert.name in fault.detectors
    return is_ours and begin < alert.opened_at <= begin + (fault.watch_days + 1) * DAY


def _trace(connection: duckdb.DuckDBPyConnection, fault: Fault, model: str, told: list[Told]) -> Line:
    if fault == LATE_LABELS:
        return _trace_labels(connection, fault, model)
    begin = find_morning(fault.first - 1)
    alerts = [one for one in told if _is_about(one, fault, model)]
    if not alerts:
        return Line(fault, model, "nothing", None, "nothing", "-", is_missed=True)
    first = alerts[0].opened_at
    (windows,) = connection.execute(
        "select count(*) from ops.runs where kind = 'monitor' and outcome = 'done' and model = ? "
        "and started_at between ? and ?",
        [model, begin + DAY, first],  # the morning after its first day is the first that can show it
    ).fetchone() or (0,)
    ends = [one.closed_at for one in alerts]
    closed = max((one for one in ends if one), default=None)
    # What is done about an alarm is done while it is on.
    until = closed if closed and None not in ends else first + 60 * DAY
    names = ", ".join(f"{name} (day {_count_day(at)})" for name, at in _list_first(alerts).items())
    seen = f"{len(alerts)} times, " if len(alerts) > 1 else ""
    said = "still open" if None in ends or closed is None else f"{seen}closed on day {_count_day(closed)}"
    return Line(fault, model, names, windows, _describe_acts(connection, model, first, until), said, is_missed=False)


def _list_first(alerts: list[Told]) -> dict[str, datetime]:
    return {one.name: one.opened_at for one in reversed(alerts)}


def _describe_acts(connection: duckdb.DuckDBPyConnection, model: str, since: datetime, until: datetime) -> str:
    asked = [model, since, until]
    acts = [f"{act}: {count}" for act, count in connection.execute(_ACTS, asked).fetchall()]
    verdicts = [f"{count} {action}" for action, count in connection.execute(_VERDICTS, asked).fetchall()]
    (rescored,) = connection.execute(_RESCORED, asked).fetchone() or (0,)
    return "; ".join(
        [
            *acts,
            *([f"versions: {', '.join(verdicts)}"] if verdicts else []),
            *([f"{rescored} comments scored again"] if rescored else []),
        ]
    )


def _trace_labels(connection: duckdb.DuckDBPyConnection, fault: Fault, model: str) -> Line:
    """The weeks whose labels came late; those of sentiment were given two weeks later, too."""
    later = 14 if model == "sentiment" else 0
    span = [find_morning(day + later - 1).date() for day in (fault.first, fault.last)]
    rows = connection.execute(_WEEKS, [model, *span]).fetchall()
    done = "; ".join(f"week of {week_on:%d %b}: {labels} labels" for week_on, labels, _ in rows)
    is_missed = not rows or not all(is_judged for *_, is_judged in rows)
    return Line(fault, model, "monitoring.performance", None, done, "-", is_missed)


def _count_day(at: datetime) -> int:
    return (at - find_morning(0)) // DAY


def _count_windows(connection: duckdb.DuckDBPyConnection, model: str) -> list[tuple[object, ...]]:
    return connection.execute(
        """
        select 'drift', model, count(*), count(*) filter (cast(details ->> 'is_violated' as boolean)),
            count(*) filter (cast(details ->> 'is_alarm' as boolean))
        from ops.runs where kind = 'monitor' and outcome = 'done' and model = $model group by model
        union all
        select check_name, model, count(*), count(*) filter (is_violated), null
        from monitoring.checks where coalesce(model, $model) = $model and is_judged group by all
        union all
        select 'performance', model, count(*), count(*) filter (is_violated), null
        from monitoring.performance where model = $model and slice = 'all' and is_judged group by model
        """,
        {"model": model},
    ).fetchall()


def _read_state(
    connection: duckdb.DuckDBPyConnection, models: tuple[str, ...]
) -> tuple[dict[str, object], tuple[str, ...]]:
    state: dict[str, object] = {}
    wrong: list[str] = []
    for model in models:
        bad = {
            row[0]
            for row in connection.execute(
                "select version from ops.promotions where model = ? and run_id = 'by-hand'", [model]
            ).fetchall()
        }
        facts = _read_scores(connection, model)
        by_bad = facts["by_version"].keys() & bad
        state |= {f"{model}: {name.replace('_', ' ')}": value for name, value in facts.items()}
        if by_bad:
            wrong.append(f"{model}: comments are scored by version {', '.join(sorted(by_bad))}")
        if facts["scored_twice"] or facts["not_in_force"]:
            wrong.append(f"{model}: comments not scored once")
    return state, tuple(wrong)


def _read_scores(connection: duckdb.DuckDBPyConnection, model: str) -> dict[str, Any]:
    def read(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql).fetchall()

    ((twice,),) = read(f"select count(*) - count(distinct (comment_id, text_id, model_version)) from scores.{model}")
    ((missing,),) = read(
        "select count(distinct comment_id) from raw.comments "
        f"where comment_id not in (select comment_id from scores.{model}_current)"
    )
    by_version = read(
        f"select model_version, count(*) from scores.{model}_current group by 1 order by try_cast(model_version as int)"
    )
    return {"scored_twice": twice, "not_in_force": missing, "by_version": dict(by_version)}


def _list_faults(status: Status, models: tuple[str, ...]) -> tuple[str, ...]:
    owing = [f"{one.model} owes {one.rows_owed}" for one in status.models if one.model in models and one.rows_owed]
    return (*owing, *(f"open: {one[1]}" for one in status.open_alerts))


def _ask_doctor(now: datetime) -> str:
    try:
        doctor(now=now)
    except SomethingWrong as wrong:
        return str(wrong)
    return "well"


def build_report(found: Found, seconds: float) -> Report:
    """Build the table."""
    lines = tuple(
        (line.fault.name, line.fault.first, line.model, line.by, line.windows, line.done, line.closed)
        for line in found.lines
    )
    header = ("what happened", "on day", "model", "noticed by", "after windows", "what was done by itself", "alarm")
    wave = tuple(
        (one.name, one.model, _count_day(one.opened_at), _count_day(one.closed_at) if one.closed_at else None)
        for one in found.false_alarms
    )
    grids = (
        Grid(header, lines, "planted"),
        Grid(
            ("alarm", "model", "from day", "to day"), wave, "alarms about nothing that was planted, the wave among it"
        ),
        Grid(("detector", "model", "windows", "odd", "alarm"), found.windows, "all windows"),
        Grid(("other alerts", "times"), tuple(found.others.items())),
    )
    missed = [f"{line.fault.name} ({line.model})" for line in found.lines if line.is_missed]
    facts = {
        "first day": f"{START:%Y-%m-%d}",
        "seconds": round(seconds),
        "missed": ", ".join(missed) or "none",
        "not well at the end": "; ".join(found.faults_of_state) or "nothing",
        **found.state,
    }
    return Report("Months", facts, grids)
