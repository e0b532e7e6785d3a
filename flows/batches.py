"""The flows for what was ingested before: taking a batch back, and replaying its quarantined rows."""

from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.features.materialize import rebuild_features
from feature_repo.sources.batches import IngestReceipt
from feature_repo.sources.mapping import read_mapping
from feature_repo.sources.quarantine import replay_batch
from feature_repo.sources.revert import RevertReceipt, revert_batch
from flows.ingest import build_report
from flows.report import Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
from scoring.current import withdraw_current
from scoring.published import publish_file
from training.spec import list_specs

if TYPE_CHECKING:
    import duckdb


@stage("revert", named="revert-{batch_id}", seconds=None)
def revert(batch_id: str, now: datetime | None = None) -> RevertReceipt:
    """Take a batch back: its rows, the features that rest on them, and their current scores.

    Args:
        batch_id: Run id of the ingest.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("revert", now=now) as entry:
        prepare_lake(entry.lake)

        def within(connection: "duckdb.DuckDBPyConnection", receipt: RevertReceipt) -> None:
            rebuild_features(connection, channel_ids=receipt.channel_ids, comment_ids=receipt.comment_ids)
            for model in list_specs():
                withdraw_current(connection, model)

        receipt = run_step(
            entry, lambda: revert_batch(entry.lake, batch_id, run_id=entry.run_id, now=entry.now, within=within)
        )
        run_step(entry, lambda: publish_file(entry.lake, run_id=entry.run_id))
        tell(entry, build_revert_report(receipt))
        return receipt


@stage("replay", named="replay-{batch_id}", seconds=None)
def replay(batch_id: str, mapping: str | None = None, now: datetime | None = None) -> IngestReceipt:
    """Try the quarantined rows of a batch again, as a batch of their own.

    Args:
        batch_id: Run id of the ingest that refused them.
        mapping: A preset or a TOML file to read them by; as before if not given.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("replay", now=now) as entry:
        key = entry.settings.read_author_key()
        told = read_mapping(mapping) if mapping else None
        receipt = run_step(
            entry,
            lambda: replay_batch(
                entry.lake, batch_id, run_id=entry.run_id, now=entry.now, author_key=key, mapping=told
            ),
        )
        tell(entry, build_report(receipt))
        return receipt


def build_revert_report(receipt: RevertReceipt) -> Report:
    """Build the report of a revert."""
    facts = {f"rows taken out of {table}": count for table, count in receipt.rows_deleted.items() if count}
    return Report(f"Batch {receipt.batch_id} taken back", facts)
