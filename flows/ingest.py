"""The flow that brings files into the lake."""

from collections.abc import Iterator
from datetime import datetime
from glob import glob
from pathlib import Path
from typing import Literal

from feature_repo.errors import Refused
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.entry import Entry
from flows.progress import report_progress
from flows.report import Grid, Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell

Kind = Literal["comments", "videos", "channels", "labels"]


class BatchRefused(Refused):
    """Too many rows of a batch were bad; nothing but its quarantine was written."""

    is_recorded = True

    def __init__(self, receipt: IngestReceipt) -> None:
        self.receipt = receipt
        share = receipt.rows_quarantined_total / receipt.rows_read
        super().__init__(
            f"{receipt.rows_quarantined_total:,} of {receipt.rows_read:,} rows are bad ({share:.0%}), more than the "
            f"limit: nothing was ingested. See `scorelake quarantine list --batch {receipt.batch_id}`; "
            "the limit is SCORELAKE_BAD_ROW_SHARE_LIMIT"
        )


@stage("ingest", named="ingest-{kind}")
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

    Args:
        kind: What a row of the files is.
        paths: Paths of .csv, .jsonl or .parquet files, or patterns such as inbox/comments/*, which may match nothing;
            relative ones are below the lake's home.
        mapping: A preset or a TOML file; none if the columns already have our names.
        source: Name of the source; the mapping's if not given.
        task_name: For labels: the model that learns from them.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("ingest", now=now) as entry:
        columns = read_mapping(mapping)
        request = IngestRequest(
            kind=kind,
            paths=tuple(_find_files(entry.settings.home, paths)),
            mapping=columns,
            source=source or columns.name,
            run_id=entry.run_id,
            now=entry.now,
            author_key=entry.settings.read_author_key(),
            bad_row_share_limit=entry.settings.bad_row_share_limit,
            task=task_name,
        )
        prepare_lake(entry.lake)
        receipt = run_step(entry, lambda: _ingest(entry, request))
        tell(entry, build_report(receipt))
        if receipt.is_refused:
            raise BatchRefused(receipt)
        return receipt


def _find_files(home: Path, paths: list[str]) -> Iterator[Path]:
    for path in paths:
        if set(path) & set("*?[") and not Path(path).exists():
            yield from sorted(Path(file) for file in glob(str(home / path)) if Path(file).is_file())  # noqa: PTH207 - absolute patterns too
        else:
            yield home / path


def _ingest(entry: Entry, request: IngestRequest) -> IngestReceipt:
    if not request.paths:
        return IngestReceipt(request.run_id, request.kind, request.source, 0, 0, 0, {}, 0, 0, 0, False, None)
    return ingest_files(entry.lake, request, on_progress=lambda rows: report_progress(f"read {request.kind}", rows))


def build_report(receipt: IngestReceipt) -> Report:
    """Build the report of an ingest: where every row that was read has gone."""
    rows: list[tuple[object, ...]] = [
        ("read", receipt.rows_read),
        ("accepted", receipt.rows_accepted),
        ("already known", receipt.rows_known),
        *((("  with other values, left as they were", receipt.rows_conflicting),) if receipt.rows_conflicting else ()),
        ("quarantined", receipt.rows_quarantined_total),
        *((f"  {reason}", count) for reason, count in receipt.rows_quarantined.items()),
    ]
    if receipt.labels_accepted:
        rows.append(("labels accepted", receipt.labels_accepted))
    grid = Grid((receipt.kind, "rows"), tuple(rows))
    verdict = "refused" if receipt.is_refused else "ingested"
    unused = ", ".join(repr(name) for name in receipt.columns_ignored)
    notes = (f"columns not used: {unused}",) if unused else ()
    return Report(f"{receipt.kind} {verdict}: batch {receipt.batch_id}", grids=(grid,), notes=notes)
