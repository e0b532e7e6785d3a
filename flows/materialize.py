"""The flow that computes the features of what is new."""

from datetime import datetime

from prefect import flow

from feature_repo.features.materialize import MaterializeReceipt, materialize_features
from feature_repo.lake import Lake, write_lake
from feature_repo.retrieval import apply_definitions, is_applied
from flows.entry import begin
from flows.report import Report
from flows.stage import prepare_lake, run_step, tell


@flow(name="materialize", flow_run_name="materialize", log_prints=False)
def materialize(now: datetime | None = None) -> MaterializeReceipt:
    """Compute comment and channel features for everything ingested since the last time.

    Parameters
    ----------
    now
        Instant of the run; the clock if not given.
    """
    entry = begin("materialize", now=now)
    prepare_lake(entry.lake)
    _apply_if_new(entry.lake)
    receipt = run_step(entry, lambda: materialize_features(entry.lake, run_id=entry.run_id, now=entry.now))
    tell(entry, build_report(receipt))
    return receipt


def _apply_if_new(lake: Lake) -> None:
    """Register the definitions in a lake that has none; later changes to them want a `scorelake apply`."""
    if is_applied(lake):
        return
    with write_lake(lake, purpose="apply the feature definitions"):
        apply_definitions(lake)


def build_report(receipt: MaterializeReceipt) -> Report:
    """Build the report of a materialization."""
    if not receipt.rows:
        return Report(f"Nothing new: features are up to data version {receipt.data_version}")
    facts = {
        "data version": f"{receipt.data_version_from} → {receipt.data_version}",
        **{f"rows added to {table}": rows for table, rows in receipt.rows.items()},
        "seconds": receipt.seconds,
    }
    return Report("Features materialized", facts)
