"""The flow that brings files into the lake."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from prefect import flow

from feature_repo.errors import Refused
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.progress import report_progress
from flows.report import Grid, Report
from flows.stage import Stage, begin_stage, prepare_lake, run_step, tell

Kind = Literal["comments", "videos", "channels", "labels"]


@flow(name="ingest", flow_run_name="ingest-{kind}", log_prints=False)
def ingest(
    kind: Kind,
    paths: list[str],
    *,
    mapping: str | None = None,
    source: str | None = None,
    task_name: str | None = None,
    now: datetime | None = None,
) -> IngestReceipt:
    """Ingest files of comments, videos, channels or labels; rows that fail their contract go to the quarantine.

    Parameters
    ----------
    kind
        What a row of the files is.
    paths
        Absolute paths of .csv, .jsonl or .parquet files.
    mapping
        A preset or a TOML file; none if the columns already have our names.
    source
        Name of the source; the mapping's if not given.
    task_name
        For labels: the model that learns from them.
    now
        Instant of the run; the clock if not given.
    """
    stage = begin_stage("ingest", now)
    request = IngestRequest(
        kind=kind,
        paths=tuple(Path(path) for path in paths),
        mapping=read_mapping(mapping),
        source=source or mapping or "files",
        run_id=stage.run_id,
        now=stage.now,
        author_key=stage.settings.read_author_key(),
        bad_row_share_limit=stage.settings.bad_row_share_limit,
        task=task_name,
    )
    prepare_lake(stage.lake)
    return _tell_and_check(stage, run_step(stage, lambda: _ingest(stage, request)))


def _ingest(stage: Stage, request: IngestRequest) -> IngestReceipt:
    return ingest_files(stage.lake, request, on_progress=lambda rows: report_progress(f"read {request.kind}", rows))


def _tell_and_check(stage: Stage, receipt: IngestReceipt) -> IngestReceipt:
    tell(stage, build_report(receipt))
    if receipt.is_refused:
        bad, read = receipt.rows_quarantined_total, receipt.rows_read
        raise Refused(
            f"{bad:,} of {read:,} rows are bad, more than the limit of {stage.settings.bad_row_share_limit:.0%}: "
            f"nothing was ingested. See `scorelake quarantine list --batch {receipt.batch_id}`, or raise "
            "SCORELAKE_BAD_ROW_SHARE_LIMIT."
        )
    return receipt


def build_report(receipt: IngestReceipt) -> Report:
    """Build the report of an ingest: where every row that was read has gone."""
    rows: list[tuple[object, ...]] = [
        ("read", receipt.rows_read),
        ("accepted", receipt.rows_accepted),
        ("already known", receipt.rows_known),
        ("quarantined", receipt.rows_quarantined_total),
        *((f"  {reason}", count) for reason, count in receipt.rows_quarantined.items()),
    ]
    if receipt.labels_accepted:
        rows.append(("labels accepted", receipt.labels_accepted))
    grid = Grid((receipt.kind, "rows"), tuple(rows))
    verdict = "refused" if receipt.is_refused else "ingested"
    return Report(f"{receipt.kind} {verdict}: batch {receipt.batch_id}", grids=(grid,))
