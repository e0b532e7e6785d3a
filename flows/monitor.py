"""The flow that watches features and predictions for drift."""

from datetime import datetime

from prefect import flow

from flows.entry import begin
from flows.report import Grid, Report
from flows.stage import RUN_SECONDS, run_step, tell
from scoring.monitor import MonitorReceipt, monitor_drift


@flow(name="monitor", flow_run_name="monitor-{model}", log_prints=False, timeout_seconds=RUN_SECONDS)
def monitor(model: str, days: int = 7, now: datetime | None = None) -> MonitorReceipt:
    """Compare the newest days of scored comments with those before, and keep the checks and a report.

    Parameters
    ----------
    model
        Name of the model: sentiment or spam.
    days
        Length of the current window; the reference is the four times as long time before it.
    now
        Instant of the run; the clock if not given.
    """
    entry = begin("monitor", model, now)
    receipt = run_step(
        entry,
        lambda: monitor_drift(
            entry.lake,
            model,
            run_id=entry.run_id,
            now=entry.now,
            days=days,
            sample_rows=entry.settings.drift_sample_rows,
        ),
    )
    tell(entry, build_report(receipt))
    return receipt


def build_report(receipt: MonitorReceipt) -> Report:
    """Build the report of a drift check: the verdict first, then every column that was compared."""
    drifted = receipt.drift.drifted()
    verdict = "DRIFT" if receipt.drift.is_alarm else "no alarm"
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
    return Report(f"{receipt.model}: {verdict}", facts, (grid,), notes)
