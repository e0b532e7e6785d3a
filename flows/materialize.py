"""The flow that computes the features of what is new."""

from datetime import datetime

from feature_repo.retrieval import apply_definitions, is_applied
from prefect import flow

from feature_repo.features.materialize import MaterializeReceipt, materialize_features
from flows.report import Report
from flows.stage import begin_stage, prepare_lake, run_step, tell


@flow(name="materialize", flow_run_name="materialize", log_prints=False)
def materialize(now: datetime | None = None) -> MaterializeReceipt:
    """Compute comment and channel features for everything ingested since the last time.

    Parameters
    ----------
    now
        Instant of the run; the clock if not given.
    """
    stage = begin_stage("materialize", now)
    prepare_lake(stage.lake)
    if not is_applied(stage.lake):
        apply_definitions(stage.lake)
    receipt = run_step(stage, lambda: materialize_features(stage.lake, run_id=stage.run_id, now=stage.now))
    tell(stage, build_report(receipt))
    return receipt


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
