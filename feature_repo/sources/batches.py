"""A batch on its way from raw rows to the lake: staged, checked, then written in one transaction.

Both an ingest and a replay of quarantined rows are batches. Where the rows come from is the business of
`ingest` and `quarantine`.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo import ledger
from feature_repo.errors import BadData
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.leftovers import open_staging
from feature_repo.sources.appending import Appended, Stamp, append_candidates, append_quarantine
from feature_repo.sources.candidates import Candidates, build_candidates
from feature_repo.sources.mapping import SourceMapping
from feature_repo.sources.readers import RawRow
from feature_repo.sources.staging import Progress, stage_files

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_MARK_REPLAYED: Final = """
update raw.quarantine set replayed_batch_id = $batch_id
where batch_id = $replays and replayed_batch_id is null
    and (file, position) in (select (file, position) from read_parquet($candidates) where len(reasons) = 0)
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch is to become.

    Parameters
    ----------
    run_id
        Id of the run; the batch bears it too.
    kind
        comments, videos, channels or labels.
    source
        Name that the rows will bear.
    task
        Task of the labels whose source tells none.
    now
        Start of the run (UTC); stands for times that nothing else tells.
    bad_row_share_limit
        The batch is refused if a greater share of its rows is bad.
    replays
        Batch whose quarantined rows these are; None for an ingest.
    files, columns_ignored
        Names of the files, and of their columns that the mapping does not use.
    """

    run_id: str
    kind: str
    mapping: SourceMapping
    source: str
    now: datetime
    task: str | None = None
    bad_row_share_limit: float = 1.0
    replays: str | None = None
    files: tuple[str, ...] = ()
    columns_ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReceipt:
    """What became of a batch's rows.

    Unless the batch was refused, `rows_read` = `rows_accepted` + `rows_known` + `rows_quarantined_total`.

    Parameters
    ----------
    rows_known
        Good rows that the lake had already, or the batch itself further up; they may still have brought
        new counts or labels.
    rows_quarantined
        Rows by reason code, most frequent first; a row with several reasons counts under each.
    rows_conflicting
        Known rows that tell other values under the same key; what was there first stands.
    data_version
        Greatest `ingest_seq` after the batch; as before if nothing was new, None if refused.
    columns_ignored
        Source columns that the mapping does not use.
    stage_seconds
        Seconds of reading, checking and writing; the last with the wait for the lake.
    """

    batch_id: str
    kind: str
    source: str
    rows_read: int
    rows_accepted: int
    rows_known: int
    rows_quarantined: Mapping[str, int]
    rows_quarantined_total: int
    rows_conflicting: int
    labels_accepted: int
    is_refused: bool
    data_version: int | None
    columns_ignored: tuple[str, ...] = ()
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of the whole batch."""
        return sum(self.stage_seconds.values())


def enter_batch(
    lake: Lake, batch: Batch, files: Iterable[tuple[str, Iterable[RawRow]]], on_progress: Progress | None = None
) -> IngestReceipt:
    """Bring the rows of the named files into the lake; all of them, or after an error none.

    Raises
    ------
    BadData
        If the mapping does not have the kind, a file turns out damaged, or the run was recorded before.
    Unavailable
        If another writer holds the lake for too long.
    """
    clock = _Clock()
    with open_staging(lake, batch.run_id) as folder:
        rows_read = stage_files(files, folder, on_progress)
        clock.end_stage("read")
        columns = batch.mapping.read_kind(batch.kind)
        candidates = build_candidates(lake, folder, batch.kind, columns=columns, now=batch.now, task=batch.task)
        clock.end_stage("check")
        with write_lake(lake, purpose=f"ingest of {batch.kind}, run {batch.run_id}") as connection:
            return run_transaction(connection, lambda open_: _write_batch(open_, batch, candidates, rows_read, clock))


class _Clock:
    """Seconds spent in each stage so far."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = perf_counter()

    def end_stage(self, name: str) -> None:
        now = perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def _write_batch(
    connection: "duckdb.DuckDBPyConnection", batch: Batch, candidates: Candidates, rows_read: int, clock: _Clock
) -> IngestReceipt:
    _check_run_is_new(connection, batch.run_id)
    version = ledger.read_data_version(connection)
    stamp = Stamp(candidates.pattern, batch.kind, batch.source, batch.run_id, version + 1, batch.now)
    appended = None
    if not candidates.rows_bad or candidates.rows_bad / rows_read <= batch.bad_row_share_limit:
        appended = append_candidates(connection, stamp)
        version += appended.rows_written > 0
    _write_quarantine(connection, batch, stamp)
    clock.end_stage("write")
    receipt = _build_receipt(batch, candidates, rows_read, appended, version)
    receipt = replace(receipt, stage_seconds=dict(clock.seconds))
    ledger.append_run(connection, _build_run(batch, receipt))
    _log.info("batch=%s kind=%s rows=%d seconds=%.3f", batch.run_id, batch.kind, receipt.rows_accepted, receipt.seconds)
    return receipt


def _check_run_is_new(connection: "duckdb.DuckDBPyConnection", run_id: str) -> None:
    if connection.execute("select 1 from ops.runs where run_id = ?", [run_id]).fetchone():
        raise BadData(f"the run {run_id} has been recorded already; a batch enters under an id of its own")


def _write_quarantine(connection: "duckdb.DuckDBPyConnection", batch: Batch, stamp: Stamp) -> None:
    if batch.replays is None:
        append_quarantine(connection, stamp)
    else:
        values = {"batch_id": batch.run_id, "replays": batch.replays, "candidates": stamp.candidates}
        connection.execute(_MARK_REPLAYED, values)


def _build_receipt(
    batch: Batch, candidates: Candidates, rows_read: int, appended: Appended | None, version: int
) -> IngestReceipt:
    written = appended or Appended(0, 0, 0, 0)
    return IngestReceipt(
        batch_id=batch.run_id,
        kind=batch.kind,
        source=batch.source,
        rows_read=rows_read,
        rows_accepted=written.rows_accepted,
        rows_known=written.rows_arrived - written.rows_accepted,
        rows_quarantined=candidates.reasons,
        rows_quarantined_total=candidates.rows_bad,
        rows_conflicting=written.rows_conflicting,
        labels_accepted=written.labels_accepted,
        is_refused=appended is None,
        data_version=None if appended is None else version,
        columns_ignored=batch.columns_ignored,
    )


def _build_run(batch: Batch, receipt: IngestReceipt) -> ledger.Run:
    return ledger.Run(
        run_id=batch.run_id,
        kind="ingest" if batch.replays is None else "replay",
        started_at=batch.now,
        ended_at=batch.now + timedelta(seconds=receipt.seconds),
        outcome="refused" if receipt.is_refused else "done",
        rows_owed=receipt.rows_read,
        rows_out=receipt.rows_accepted,
        rows_known=receipt.rows_known,
        rows_quarantined=receipt.rows_quarantined_total,
        data_version=receipt.data_version,
        stage_seconds=receipt.stage_seconds,
        details={
            "kind": batch.kind,
            "source": batch.source,
            "task": batch.task,
            "files": batch.files,
            "replays": batch.replays,
            "mapping": batch.mapping.model_dump(mode="json", exclude_defaults=True),
            "reasons": receipt.rows_quarantined,
            "rows_conflicting": receipt.rows_conflicting,
            "labels_accepted": receipt.labels_accepted,
            "columns_ignored": receipt.columns_ignored,
        },
    )
