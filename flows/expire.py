"""The flow that ends what has had its time: texts whose retention is over, and snapshots beyond the horizon."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prefect import flow

from feature_repo.contracts import list_expiring
from feature_repo.sources.retention import ExpiryReceipt, expire_texts
from feature_repo.upkeep import PurgeReceipt, purge_deleted
from flows.entry import begin
from flows.report import Report
from flows.stage import prepare_lake, run_step, tell


@dataclass(frozen=True, slots=True)
class MaintainReceipt:
    """What expired, and what left the disk."""

    expiry: ExpiryReceipt
    purge: PurgeReceipt


@flow(name="expire", flow_run_name="expire", log_prints=False)
def expire(now: datetime | None = None) -> MaintainReceipt:
    """Take out texts that their source has not shown for too long, and what was deleted off the disk.

    Parameters
    ----------
    now
        Instant of the run; the clock if not given.
    """
    entry = begin("expire", now=now)
    settings = entry.settings
    prepare_lake(entry.lake)
    expiry = run_step(
        entry,
        lambda: expire_texts(
            entry.lake,
            run_id=entry.run_id,
            now=entry.now,
            days=settings.retention_days,
            sources=settings.retained_sources,
        ),
    )
    horizon = entry.now - timedelta(days=settings.snapshot_days)
    purge = run_step(entry, lambda: purge_deleted(entry.lake, list_expiring(), before=horizon))
    receipt = MaintainReceipt(expiry, purge)
    tell(entry, build_report(receipt))
    return receipt


def build_report(receipt: MaintainReceipt) -> Report:
    """Build the report of a maintenance: what expired, then what left the disk."""
    expiry, purge = receipt.expiry, receipt.purge
    facts = {
        "last observed before": f"{expiry.before:%Y-%m-%d %H:%M} UTC",
        "texts expired": expiry.texts,
        "feature rows without tokens since": expiry.token_rows,
        "rows of the quarantine expired": expiry.payloads,
        "snapshots kept since": f"{purge.before:%Y-%m-%d %H:%M} UTC",
        "snapshots given up": purge.snapshots_expired,
        "files deleted": purge.files_deleted,
        "seconds": expiry.seconds + purge.seconds,
    }
    notes = (
        ("what expired now leaves the disk when the last snapshot that shows it is given up",) if expiry.texts else ()
    )
    return Report(f"{expiry.texts:,} texts expired, {purge.files_deleted:,} files deleted", facts, notes=notes)
