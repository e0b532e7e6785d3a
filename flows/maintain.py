"""The flow that keeps the lake in order: what has had its time ends, and small files become few."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from feature_repo.compaction import CompactionReceipt, compact_tables
from feature_repo.contracts import list_expiring
from feature_repo.lake import read_lake
from feature_repo.leftovers import delete_leftovers
from feature_repo.sources.retention import ExpiryReceipt, expire_texts
from feature_repo.upkeep import PurgeReceipt, measure_disk, purge_deleted
from flows.entry import Entry
from flows.progress import report_progress
from flows.report import Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
from scoring.lease import list_live_runs
from scoring.overview import delete_reports


@dataclass(frozen=True, slots=True)
class MaintainReceipt:
    """What expired, what left the disk, and what was merged.

    Parameters
    ----------
    leftovers
        Files and folders of dead runs that were deleted from staging and spill.
    reports
        Pages and pictures of old runs that were deleted.
    disk_bytes_before, disk_bytes_after
        Size of the lake's folder, with what older snapshots need.
    """

    expiry: ExpiryReceipt
    purge: PurgeReceipt
    compaction: CompactionReceipt
    leftovers: int
    reports: int
    disk_bytes_before: int
    disk_bytes_after: int


@stage("maintain", named="maintain")
def maintain(now: datetime | None = None) -> MaintainReceipt:
    """Take out texts that their source has not shown for too long, bring what was deleted off the disk, merge files.

    Args:
        now: Instant of the run; the clock if not given.
    """
    with begin_run("maintain", now=now) as entry:
        prepare_lake(entry.lake)
        before = measure_disk(entry.lake)
        expiry = run_step(entry, lambda: _expire(entry))
        horizon = entry.now - timedelta(days=entry.settings.snapshot_days)
        purge = run_step(entry, lambda: purge_deleted(entry.lake, list_expiring(), before=horizon))
        compaction = run_step(entry, lambda: compact_tables(entry.lake, on_progress=_report_tables))
        leftovers = run_step(entry, lambda: _delete_leftovers(entry, horizon))
        reports = delete_reports(entry.lake, before=entry.now - timedelta(days=entry.settings.report_days))
        receipt = MaintainReceipt(expiry, purge, compaction, leftovers, reports, before, measure_disk(entry.lake))
        tell(entry, build_report(receipt))
        return receipt


def build_report(receipt: MaintainReceipt) -> Report:
    """Build the report of a maintenance: what expired, what left the disk, what was merged."""
    expiry, purge, compaction = receipt.expiry, receipt.purge, receipt.compaction
    facts = {
        "last observed before": f"{expiry.before:%Y-%m-%d %H:%M} UTC",
        "texts expired": expiry.texts,
        "feature rows without tokens since": expiry.token_rows,
        "rows of the quarantine expired": expiry.payloads,
        "snapshots kept since": f"{purge.before:%Y-%m-%d %H:%M} UTC",
        "snapshots given up": purge.snapshots_expired,
        "files deleted": purge.files_deleted,
        "of them orphans": purge.orphans_deleted,
        "leftovers of dead runs deleted": receipt.leftovers,
        "old reports deleted": receipt.reports,
        "files of tables": f"{compaction.files_before:,} → {compaction.files_after:,}",
        "MiB of tables": f"{compaction.bytes_before / 2**20:,.1f} → {compaction.bytes_after / 2**20:,.1f}",
        "MiB on disk": f"{receipt.disk_bytes_before / 2**20:,.1f} → {receipt.disk_bytes_after / 2**20:,.1f}",
        "seconds": expiry.seconds + purge.seconds + compaction.seconds,
    }
    return Report(
        f"{expiry.texts:,} texts expired, {purge.files_deleted:,} files deleted, "
        f"{compaction.files_before - compaction.files_after:,} fewer files",
        facts,
        notes=tuple(_build_notes(receipt)),
    )


def _build_notes(receipt: MaintainReceipt) -> list[str]:
    merged = receipt.compaction.tables
    notes = {
        "what expired now leaves the disk when the last snapshot that shows it is given up": receipt.expiry.texts,
        "files that became one take room until the last snapshot that shows them is given up": merged,
    }
    return [note for note, is_true in notes.items() if is_true]


def _expire(entry: Entry) -> ExpiryReceipt:
    settings = entry.settings
    return expire_texts(
        entry.lake,
        run_id=entry.run_id,
        now=entry.now,
        days=settings.retention_days,
        sources=settings.retained_sources,
    )


def _delete_leftovers(entry: Entry, horizon: datetime) -> int:
    with read_lake(entry.lake) as connection:
        live_runs = list_live_runs(connection, entry.now)
    return delete_leftovers(entry.lake, before=horizon, live_runs=live_runs)


def _report_tables(done: int, total: int | None) -> None:
    report_progress("merge files of tables", done, total)
