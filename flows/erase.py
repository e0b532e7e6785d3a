"""Erasing on request: all that the home holds of some comments or authors.

Not a flow: Prefect would keep the ids as parameters. What came of it is in the ledger, without personal data.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING

from feature_repo.erasure import (
    Subject,
    count_rows,
    erase_rows,
    find_subject,
    list_erased_columns,
)
from feature_repo.errors import Unavailable
from feature_repo.lake import read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.sources.authors import AuthorHasher
from feature_repo.sweep import SweepReceipt, sweep_files
from feature_repo.upkeep import PurgeReceipt, purge_deleted
from flows.entry import Entry, begin
from flows.report import Grid, Report
from flows.stage import begin_run, prepare_lake, run_step
from scoring.erasure import count_anew, drop_staged, list_published, publish_anew
from scoring.lease import list_live_runs
from training.erasure import TrainedVersion, forget_rows

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class EraseReceipt:
    """What an erasure took out, or would take out; no personal data.

    Parameters
    ----------
    comments, authors
        How many were asked for; comments of the authors included.
    rows
        Rows by table.
    models
        Versions that learned from the comments or were judged on them.
    files
        What came of the files beside the lake.
    published
        Published files that were deleted; if there were any, the lake was published anew.
    purge
        What left the lake's files; None if nothing was to be changed.
    """

    run_id: str
    is_dry: bool
    comments: int
    authors: int
    rows: dict[str, int]
    models: tuple[TrainedVersion, ...]
    files: SweepReceipt
    published: int
    purge: PurgeReceipt | None
    seconds: float


def erase(
    comment_ids: Sequence[str], authors: Sequence[str], *, is_dry: bool = False, now: datetime | None = None
) -> EraseReceipt:
    """Erase comments, and all comments of authors; safe to repeat, and after a kill to be repeated.

    Parameters
    ----------
    comment_ids
        As their source has them.
    authors
        As their source has them; or hashed, as the lake does.
    is_dry
        Changes nothing, and counts what would go.
    now
        Instant of the run; the clock if not given.

    Raises
    ------
    Unavailable
        While a run is scoring or something that has to be rewritten is in use; erase again then.
    """
    if is_dry:
        entry = begin("erase", now=now)
        return _look(entry, _find(entry, comment_ids, authors))
    with begin_run("erase", now=now) as entry:
        subject = _find(entry, comment_ids, authors)
        receipt = run_step(entry, lambda: _erase(entry, subject))
        run_step(entry, lambda: _record(entry, receipt))
        return receipt


def _find(entry: Entry, comment_ids: Sequence[str], authors: Sequence[str]) -> Subject:
    hasher = AuthorHasher(entry.settings.read_author_key())
    subject = find_subject(entry.lake, comment_ids, {one: hasher.hash_author(one) for one in authors})
    prepare_lake(entry.lake)
    return subject


def build_report(receipt: EraseReceipt) -> Report:
    """Build the report of an erasure: rows by table, files, models, and what is left to do."""
    verb = "would be erased" if receipt.is_dry else "erased"
    facts: dict[str, object] = {
        "comments": receipt.comments,
        "rows of the lake": sum(receipt.rows.values()),
        "files beside the lake": len(receipt.files.changed),
        "published files": receipt.published,
        "seconds": receipt.seconds,
    }
    rows = Grid(("table", "rows"), tuple(receipt.rows.items()))
    models = Grid(
        ("model", "version", "rows it learned from or was judged on"),
        tuple((one.model, one.version, one.rows) for one in receipt.models),
    )
    grids = tuple(grid for grid in (rows, models) if grid.rows)
    return Report(f"{receipt.comments:,} comments {verb}", facts, grids, tuple(_build_notes(receipt)))


def _build_notes(receipt: EraseReceipt) -> list[str]:
    left = ", ".join(receipt.files.left)
    notes = {
        f"not changed, because they cannot be read here: {left}": left,
        "an ingest of the same rows would bring them back": receipt.rows,
        "the models stay as they are; `scorelake train` makes new ones without the rows": receipt.models,
        "windows of channels, which are features, stay as numbers": receipt.rows,
        "backups that were taken before hold them still, until they are removed": receipt.rows,
    }
    return [note for note, is_true in notes.items() if is_true]


def _look(entry: Entry, subject: Subject) -> EraseReceipt:
    since = perf_counter()
    lake = entry.lake
    return EraseReceipt(
        run_id=entry.run_id,
        is_dry=True,
        comments=len(subject.comment_ids),
        authors=subject.author_count,
        rows=count_rows(lake, subject),
        models=forget_rows(lake, subject.comment_ids, is_dry=True),
        files=sweep_files(lake, subject.traces, is_dry=True),
        published=len(list_published(lake)),
        purge=None,
        seconds=perf_counter() - since,
    )


def _erase(entry: Entry, subject: Subject) -> EraseReceipt:
    """Files first, the lake last: until then a repetition finds the comments of an author again."""
    since = perf_counter()
    lake = entry.lake
    with read_lake(lake) as connection:
        _check_idle(connection, entry.now)
    models = forget_rows(lake, subject.comment_ids)
    files = sweep_files(lake, subject.traces)
    drop_staged(lake, files.changed)
    rows = erase_rows(lake, subject, check=lambda inside: _check_idle(inside, entry.now), within=count_anew)
    purge = purge_deleted(lake, list_erased_columns(lake), before=None)
    published = publish_anew(lake, run_id=entry.run_id)
    return EraseReceipt(
        run_id=entry.run_id,
        is_dry=False,
        comments=len(subject.comment_ids),
        authors=subject.author_count,
        rows=rows,
        models=models,
        files=files,
        published=published,
        purge=purge,
        seconds=perf_counter() - since,
    )


def _check_idle(connection: "duckdb.DuckDBPyConnection", now: datetime) -> None:
    """Raise `Unavailable` while a run is scoring: it would publish what is erased meanwhile."""
    if live := list_live_runs(connection, now):
        raise Unavailable(f"{', '.join(live)} is at work and may hold what is to be erased; erase when it has ended")


def _record(entry: Entry, receipt: EraseReceipt) -> None:
    run = Run(
        run_id=receipt.run_id,
        kind="erase",
        started_at=entry.now,
        ended_at=entry.now + timedelta(seconds=receipt.seconds),
        rows_out=sum(receipt.rows.values()),
        details={
            "comments": receipt.comments,
            "authors": receipt.authors,
            "rows": receipt.rows,
            "models": [asdict(one) for one in receipt.models],
            "files_changed": len(receipt.files.changed),
            "files_left": len(receipt.files.left),
            "published_deleted": receipt.published,
        },
    )
    with write_lake(entry.lake, purpose="record an erasure") as connection:
        run_transaction(connection, lambda inside: append_run(inside, run))
