"""What every flow shares: how its step is retried, and how its outcome is told and recorded.

The retry policy is written here once, on the family of the error: what is unavailable is tried again,
bad data and refusals are not.
"""

import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import stamina
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from feature_repo.errors import Refused, ScorelakeError, Unavailable
from feature_repo.features.late_columns import find_unfilled
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.migration import find_outdated, migrate_tables, write_release
from feature_repo.release import check_writable, is_behind, read_release
from flows.alerts import raise_failure, resolve_failure
from flows.entry import Entry
from flows.pages import Pages
from flows.report import Report, build_markdown
from flows.tables import list_tables

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
_log = logging.getLogger(__name__)
# A run that hangs would keep its deployment's only slot for ever. As long as a lease, and many times what a run takes;
# backfill may take days and train may wait for a person, so they have no limit.
RUN_SECONDS: Final = 6 * 3600
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=5)


def run_step(entry: Entry, step: Callable[[], T]) -> T:
    """Run the step of a stage, trying again what was unavailable; a failure is written into the ledger, and told."""
    attempts = stamina.retry_context(
        on=Unavailable,
        attempts=1 + entry.settings.retries,
        timeout=None,
        wait_initial=_FIRST_WAIT,
        wait_max=_LONGEST_WAIT,
    )
    try:
        for attempt in attempts:
            with attempt, _report_full_disk(entry):
                result = step()
    except Exception as error:
        if isinstance(error, ScorelakeError):
            _record_failure(entry, error)
        raise_failure(entry, error)
        raise
    return result


@contextmanager
def _report_full_disk(entry: Entry) -> Iterator[None]:
    """Say so when the disk is full, whichever library has found out."""
    try:
        yield
    except ScorelakeError:
        raise
    except Exception as error:
        if not _is_disk_full(error):
            raise
        free = shutil.disk_usage(entry.lake.home).free >> 20
        raise Unavailable(
            f"the disk of {entry.lake.home} is full ({free:,} MiB free): {error}. Free some and run it again: what was "
            "finished is kept, and nothing half-written is visible"
        ) from error


def _is_disk_full(error: BaseException) -> bool:
    # DuckDB and SQLite tell it in words alone.
    has_number = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return has_number or any(words in str(error) for words in ("No space left on device", "disk is full"))


def tell(entry: Entry, report: Report, pages: Pages | None = None, *, has_ended_well: bool = True) -> None:
    """Keep a report as the run's artifact, where the Prefect UI shows it; with it a run, of all its steps, ends."""
    key = f"{entry.kind}-{entry.model}" if entry.model else entry.kind
    pages = pages or Pages()
    create_markdown_artifact(build_markdown(report, pages.links), key=key, description=entry.run_id)
    if pages.picture:
        create_image_artifact(pages.picture, key=f"{key}-picture", description=entry.run_id)
    if has_ended_well:
        resolve_failure(entry)


def prepare_lake(lake: Lake, *, is_thorough: bool = False) -> tuple[str, ...]:
    """Bring every table of the lake to its declaration, those of the models' scores included.

    Returns the names of the tables that changed. Thoroughly, it also looks for rows that an earlier release has left
    without values: half a second for a million of them. Raises `LaterRelease` if a later release has migrated the lake.
    """
    tables = list_tables()
    if lake.catalog.exists():
        with read_lake(lake) as connection:
            check_writable(connection)
            is_current = not (is_behind(connection) or find_outdated(connection, tables))
            if is_current and not (is_thorough and find_unfilled(connection)):
                return ()

    def migrate(connection: "duckdb.DuckDBPyConnection") -> tuple[str, ...]:
        before = read_release(connection)
        changed = migrate_tables(connection, tables)
        write_release(connection, before, datetime.now(UTC))
        return changed

    with write_lake(lake, purpose="migrate the tables") as connection:
        return run_transaction(connection, migrate)


def _record_failure(entry: Entry, error: ScorelakeError) -> None:
    run = Run(
        run_id=f"{entry.run_id}-failed",
        kind=entry.kind,
        model=entry.model,
        started_at=entry.now,
        ended_at=entry.now,
        outcome="refused" if isinstance(error, Refused) else "failed",
        details={"error": str(error)},
    )
    if not entry.lake.catalog.exists():
        return
    try:
        with write_lake(entry.lake, purpose="record a failure", wait_seconds=5) as connection:
            run_transaction(connection, lambda connection: append_run(connection, run))
    except Unavailable as busy:
        _log.warning("failure not recorded run_id=%s reason=%s", entry.run_id, busy)
