"""The flow that watches features, predictions and late labels, what comes, and how fast it is scored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from feature_repo.lake import read_lake
from flows.alerts import raise_alert, resolve_alert
from flows.entry import Entry
from flows.heal import HealReceipt, heal
from flows.pages import find_report_pages
from flows.report import Grid, Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
from scoring.alarm import Alarm
from scoring.checks import FRESHNESS, REFUSED_ROWS, THROUGHPUT, VOLUME, Check, judge_check
from scoring.healing import Symptom
from scoring.monitor import MonitorReceipt, WatchOptions, monitor_windows
from scoring.overview import write_overview
from scoring.performance import measure_performance
from training.spec import read_spec

_NAMED_COLUMNS: Final = 6
_THRESHOLDS: Final = {True: "of permuted history", False: "fixed: there is too little history to permute"}
# What an odd count is called, and what to do.
_COUNTED: Final = {
    FRESHNESS: (
        "no new comments",
        "Look at whether files still reach the inbox, and whether the runs that ingest end well.",
    ),
    VOLUME: (
        "unusual number of comments",
        "Look at whether a source is missing, or brings what it should not: raw.comments has the source of each.",
    ),
    REFUSED_ROWS: ("more rows are refused than usual", "Look at why: `scorelake quarantine list`."),
    THROUGHPUT: (
        "scoring is slower than it was",
        "Comments a second. Look at ops.runs for the stage, and at what else the machine does.",
    ),
}


@stage("monitor", named="monitor-{model} {days} days to")
def monitor(model: str, days: int = 7, now: datetime | None = None) -> MonitorReceipt:
    """Compare the newest days of scored comments with those before, and scores with the labels that came later.

    Checks, a report and an overview are kept; what they amount to is told, and drift and decay are answered (`heal`).

    Args:
        model: Name of the model: sentiment or spam.
        days: Length of the current window; the reference is the four times as long time before it.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("monitor", model, now) as entry:
        prepare_lake(entry.lake)
        receipt = run_step(
            entry,
            lambda: monitor_windows(
                entry.lake, model, run_id=entry.run_id, now=entry.now, days=days, options=_build_options(entry)
            ),
        )
        right = run_step(entry, lambda: _measure(entry, model))
        index = run_step(entry, lambda: write_overview(entry.lake, model, entry.settings.alarm_rule))
        named = {"the drift report": receipt.report_path, "all monitoring runs": index}
        pages = find_report_pages(entry.lake.home, named, index.with_name(f"trend-{model}.svg"))
        tell(entry, build_report(receipt), pages)
        watch_counts(entry, receipt.checks)
        watch_drift(entry, receipt)
        watch_performance(entry, right)
        if not receipt.alarm.is_on and not right.is_on:
            resolve_alert(entry, f"heal/{model}", f"run/heal/{model}")
        return receipt


def _build_options(entry: Entry) -> WatchOptions:
    settings = entry.settings
    return WatchOptions(
        sample_rows=settings.drift_sample_rows,
        memory_mib=settings.monitor_memory_mib,
        false_alarm_rate=settings.false_alarm_rate,
        freshness_hours=settings.freshness_hours,
        rule=settings.alarm_rule,
    )


def _measure(entry: Entry, model: str) -> Alarm:
    return measure_performance(
        entry.lake, read_spec(model), run_id=entry.run_id, now=entry.now, rule=entry.settings.alarm_rule
    )


def watch_performance(entry: Entry, right: Alarm) -> HealReceipt | None:
    """Raise an alert if the champion is less often right than it promised, and start training; or close it."""
    key = f"performance/{entry.model}"
    if not right.is_on or right.began_at is None or entry.model is None:
        resolve_alert(entry, key)
        return None
    said = (
        f"In {right.violations} of the last {right.windows} weeks with enough labels, the champion was surely less "
        "often right than on the rows held out when it was trained. Look at monitoring.performance. "
        + _say_what_is_done(entry)
    )
    raise_alert(entry, key, severity="error", subject="less right than promised", message=said)
    return heal(entry, entry.model, Symptom(entry.run_id, right.began_at, is_decay=True))


def watch_drift(entry: Entry, receipt: MonitorReceipt) -> HealReceipt | None:
    """Raise the alarm, and do what is done by itself about it; or close it."""
    key = f"drift/{receipt.model}"
    if not receipt.alarm.is_on or receipt.alarm.began_at is None:
        resolve_alert(entry, key)
        return None
    drifted = receipt.drift.drifted()
    said = (
        f"{summarize(receipt)}, since {receipt.alarm.began_at:%Y-%m-%d %H:%M} UTC. "
        f"Of this one: {', '.join(drifted[:_NAMED_COLUMNS])}. "
        f"Look at {receipt.report_path.name} under reports/. " + _say_what_is_done(entry)
    )
    raise_alert(entry, key, severity="error", subject="drift alarm", message=said)
    drift = receipt.drift
    symptom = Symptom(receipt.run_id, receipt.alarm.began_at, drift.has_drifted_predictions, drift.has_drifted_features)
    return heal(entry, receipt.model, symptom)


def _say_what_is_done(entry: Entry) -> str:
    return "What can be done by itself is done." if entry.settings.heal else "Nothing is done by itself."


def watch_counts(entry: Entry, checks: Sequence[Check]) -> None:
    """Raise an alert for each count that is odd, or close it; an odd day is told when it is an alarm."""
    for check in checks:
        about = replace(entry, model=check.model)
        key = f"{check.name}/{check.model}" if check.model else check.name
        said = _describe_alarm(entry, check)
        if said is None:
            resolve_alert(about, key)
        else:
            subject, advice = _COUNTED[check.name]
            raise_alert(about, key, severity="warning", subject=subject, message=f"{said} {advice}")


def _describe_alarm(entry: Entry, check: Check) -> str | None:
    """Say what is odd; None if it is no alarm."""
    if check.name == FRESHNESS:
        limit = entry.settings.freshness_hours
        said = f"The newest comment was seen at {check.window_from:%Y-%m-%d %H:%M} UTC, more than {limit:g} hours ago."
        return said if check.is_violated else None
    with read_lake(entry.lake) as connection:
        alarm = judge_check(connection, check.name, check.model, entry.settings.alarm_rule)
    if not alarm.is_on or check.value is None or check.usual is None:
        return None
    return (
        f"{check.value:,.0f} in the day up to {check.window_to:%Y-%m-%d %H:%M} UTC, where {check.usual.expected:,.0f} "
        f"are usual; odd in {alarm.violations} of the last {alarm.windows} days that were looked at."
    )


def build_report(receipt: MonitorReceipt) -> Report:
    """Build the report of a drift check: the verdict first, then every column that was compared."""
    drifted = receipt.drift.drifted()
    checks = sorted(receipt.drift.checks, key=lambda check: check.score / check.threshold, reverse=True)
    rows = tuple(
        (check.name, check.kind, check.method, check.score, check.threshold, check.is_drifted) for check in checks
    )
    facts = {
        "current window": f"{receipt.window_from:%Y-%m-%d %H:%M} to {receipt.window_to:%Y-%m-%d %H:%M} UTC",
        "reference window": f"{receipt.reference_from:%Y-%m-%d %H:%M} to {receipt.window_from:%Y-%m-%d %H:%M} UTC",
        "drifted": f"{len(drifted)} of {len(checks)} checks",
        "thresholds": _THRESHOLDS[receipt.drift.is_calibrated],
        "report": receipt.report_path,
        "all reports": receipt.report_path.with_name("index.html"),
    }
    notes = tuple(f"not compared: {column}: {why}" for column, why in receipt.drift.skipped.items())
    grid = Grid(("column", "kind", "distance", "score", "threshold", "drifted"), rows)
    counted = Grid(
        ("counted", "found", "usual", "least", "most", "odd"),
        tuple(_list_counted(check) for check in receipt.checks),
        "a day's counts",
    )
    return Report(f"{receipt.model}: {summarize(receipt)}", facts, (grid, counted), notes)


def _list_counted(check: Check) -> tuple[object, ...]:
    usual = check.usual
    bounds = (usual.expected, usual.low, usual.high) if usual else (None, None, None)
    rounded = (None if one is None else round(one) for one in (check.value, *bounds))
    return check.name.replace("_", " "), *rounded, check.is_violated


def summarize(receipt: MonitorReceipt) -> str:
    """Say in a few words whether the window drifted, and whether that is an alarm."""
    alarm = receipt.alarm
    of = f"{alarm.violations} of the last {alarm.windows} windows drifted" if alarm.windows > 1 else "the first window"
    if alarm.is_on:
        return f"DRIFT ALARM, {of}"
    return f"DRIFT in this window, no alarm yet: {of}" if receipt.is_violated else "no drift"
