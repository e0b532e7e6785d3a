"""The flow that computes the features of what is new."""

from datetime import datetime

from feature_repo.feature_registry import is_applied
from feature_repo.features.materialize import MaterializeReceipt, materialize_features
from feature_repo.lake import Lake, write_lake
from feature_repo.online import fill_online
from feature_repo.retrieval import apply_definitions
from flows.progress import report_progress
from flows.report import Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell


@stage("materialize", named="materialize")
def materialize(now: datetime | None = None) -> MaterializeReceipt:
    """Compute the features of everything ingested since the last time, and of the hours that have passed.

    The online store is brought to the same state.

    Args:
        now: Instant of the run; the clock if not given.
    """
    with begin_run("materialize", now=now) as entry:
        prepare_lake(entry.lake)
        _apply_if_new(entry.lake)
        receipt = run_step(
            entry, lambda: materialize_features(entry.lake, run_id=entry.run_id, now=entry.now, say=_say_computing)
        )
        run_step(entry, lambda: fill_online(entry.lake, run_id=f"{entry.run_id}-online", now=entry.now))
        tell(entry, build_report(receipt))
        return receipt


def _say_computing(table: str) -> None:
    report_progress(f"computing {table}", 0)


def _apply_if_new(lake: Lake) -> None:
    """Register the definitions in a lake that has none; later changes to them want a `scorelake apply`."""
    if is_applied(lake):
        return
    with write_lake(lake, purpose="apply the feature definitions"):
        apply_definitions(lake)


def build_report(receipt: MaterializeReceipt) -> Report:
    """Build the report of a materialization."""
    owed = receipt.owed
    if not any(receipt.rows.values()):
        return Report(f"Nothing new: features are up to data version {owed.upto} and {owed.until:%d %b %Y %H:%M}")
    facts = {
        "data version": f"{owed.above} → {owed.upto}",
        "channel windows up to": f"{owed.until:%d %b %Y %H:%M}",
        **{f"rows added to {table}": rows for table, rows in receipt.rows.items()},
        "seconds": receipt.seconds,
    }
    return Report("Features materialized", facts)
