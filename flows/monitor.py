"""The flow that watches features, predictions and late labels, and whether comments still come."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from prefect import flow

from feature_repo.lake import read_lake
from flows.alerts import raise_alert, resolve_alert
from flows.entry import Entry, begin, name_run
from flows.heal import HealReceipt, heal
from flows.report import Grid, Report
from flows.stage import RUN_SECONDS, prepare_lake, run_step, tell
from scoring.alarm import Alarm
from scoring.healing import Symptom
from scoring.monitor import MonitorReceipt, monitor_drift, read_newest_observation
from scoring.performance import measure_performance
from training.spec import read_spec

_NAMED_COLUMNS: Final = 6


@flow(
    name="monitor",
    flow_run_name=name_run("monitor-{model} {days} days to"),
    log_prints=False,
    timeout_seconds=RUN_SECONDS,
)
def monitor(model: str, days: int = 7, now: datetime | None = None) -> MonitorReceipt:
    """Compare the newest days of scored comments with those before, and scores with the labels that came later.

    Checks and a report are kept; what they amount to is told, and a drift alarm is answered (see `heal`).

    Args:
        model: Name of the model: sentiment or spam.
        days: Length of the current window; the reference is the four times as long time before it.
        now: Instant of the run; the clock if not given.
    """
    entry = begin("monitor", model, now)
    prepare_lake(entry.lake)
    receipt = run_step(
        entry,
        lambda: monitor_drift(
            entry.lake,
            model,
            run_id=entry.run_id,
            now=entry.now,
            days=days,
            sample_rows=entry.settings.drift_sample_rows,
            rule=entry.settings.alarm_rule,
        ),
    )
    right = run_step(entry, lambda: _measure(entry, model))
    tell(entry, build_report(receipt))
    watch_freshness(entry)
    watch_performance(entry, right)
    watch_drift(entry, receipt)
    return receipt


def _measure(entry: Entry, model: str) -> Alarm:
    return measure_performance(
        entry.lake, read_spec(model), run_id=entry.run_id, now=entry.now, rule=entry.settings.alarm_rule
    )


def watch_performance(entry: Entry, right: Alarm) -> None:
    """Raise an alert if the champion is less often right than it promised, or close it; nothing is done by itself."""
    key = f"performance/{entry.model}"
    if not right.is_on:
        resolve_alert(entry, key)
        return
    said = (
        f"In {right.violations} of the last {right.windows} weeks with enough labels, the champion was surely less "
        "often right than on the rows held out when it was trained. Look at monitoring.performance; train on the new "
        "labels, or roll back."
    )
    raise_alert(entry, key, severity="error", subject="less right than promised", message=said)


def watch_drift(entry: Entry, receipt: MonitorReceipt) -> HealReceipt | None:
    """Raise the alarm, and do what is done by itself about it; or close it."""
    key = f"drift/{receipt.model}"
    if not receipt.alarm.is_on or receipt.alarm.began_at is None:
        resolve_alert(entry, key, f"heal/{receipt.model}", f"run/heal/{receipt.model}")
        return None
    drifted = receipt.drift.drifted()
    said = (
        f"{summarize(receipt)}, since {receipt.alarm.began_at:%Y-%m-%d %H:%M} UTC. "
        f"Of this one: {', '.join(drifted[:_NAMED_COLUMNS])}. "
        f"Look at {receipt.report_path.name} under reports/. "
        + ("What can be done by itself is done." if entry.settings.heal else "Nothing is done by itself.")
    )
    raise_alert(entry, key, severity="error", subject="drift alarm", message=said)
    predictions = {check.column for check in receipt.drift.checks if check.kind == "prediction"}
    symptom = Symptom(receipt.run_id, receipt.alarm.began_at, bool(predictions.intersection(drifted)))
    return heal(entry, receipt.model, symptom)


def watch_freshness(entry: Entry) -> None:
    """Raise an alert if no comments have come for too long, or close it."""
    with read_lake(entry.lake) as connection:
        newest = read_newest_observation(connection)
    about = replace(entry, model=None)
    limit = entry.settings.freshness_hours
    if newest is None or entry.now - newest <= timedelta(hours=limit):
        resolve_alert(about, "freshness")
        return
    said = (
        f"The newest comment was seen at {newest:%Y-%m-%d %H:%M} UTC, more than {limit:g} hours ago. Look at whether "
        "files still reach the inbox, and whether the runs that ingest end well."
    )
    raise_alert(about, "freshness", severity="warning", subject="no new comments", message=said)


def build_report(receipt: MonitorReceipt) -> Report:
    """Build the report of a drift check: the verdict first, then every column that was compared."""
    drifted = receipt.drift.drifted()
    checks = sorted(receipt.drift.checks, key=lambda check: check.score / check.threshold, reverse=True)
    rows = tuple(
        (check.column, check.kind, check.method, check.score, check.threshold, check.is_drifted) for check in checks
    )
    facts = {
        "current window": f"{receipt.window_from:%Y-%m-%d %H:%M} to {receipt.window_to:%Y-%m-%d %H:%M} UTC",
        "reference window": f"{receipt.reference_from:%Y-%m-%d %H:%M} to {receipt.window_from:%Y-%m-%d %H:%M} UTC",
        "drifted columns": f"{len(drifted)} of {len(checks)}",
        "report": receipt.report_path,
    }
    notes = tuple(f"not compared: {column}: {why}" for column, why in receipt.drift.skipped.items())
    grid = Grid(("column", "kind", "distance", "score", "threshold", "drifted"), rows)
    return Report(f"{receipt.model}: {summarize(receipt)}", facts, (grid,), notes)


def summarize(receipt: MonitorReceipt) -> str:
    """Say in a few words whether the window drifted, and whether that is an alarm."""
    alarm = receipt.alarm
    of = f"{alarm.violations} of the last {alarm.windows} windows drifted" if alarm.windows > 1 else "the first window"
    if alarm.is_on:
        return f"DRIFT ALARM, {of}"
    return f"DRIFT in this window, no alarm yet: {of}" if receipt.is_violated else "no drift"
