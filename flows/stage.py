"""What every flow shares: how long it may take, how its steps are retried, how its outcome is told and recorded.

The retry policy is written here once, on the family of the error: what is unavailable is tried again,
bad data and refusals are not.
"""

import errno
import logging
import shutil
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, cast

import duckdb
import stamina
from prefect import Flow, flow, get_run_logger
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.states import Failed

from feature_repo.errors import ScorelakeError, Unavailable
from feature_repo.features.late_columns import find_unfilled
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.migration import find_outdated, migrate_tables, write_release
from feature_repo.release import check_writable, is_behind, read_release
from flows.alerts import raise_failure, resolve_failure
from flows.entry import Entry, begin, name_run
from flows.failures import Failure, describe_failure, explain_denied
from flows.pages import Pages
from flows.prefect_api import explain_silence
from flows.report import Report, build_markdown
from flows.tables import list_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

T = TypeVar("T")
P = ParamSpec("P")
_log = logging.getLogger(__name__)
# A run that hangs would keep its deployment's only slot for ever. As long as a lease, and many times what a run takes;
# backfill may take days and train may wait for a person, so they have no limit.
RUN_SECONDS: Final = 6 * 3600
_FIRST_WAIT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=5)
_TOLD: Final = "is_told"


def stage(name: str, *, named: str, seconds: float | None = RUN_SECONDS) -> Callable[[Callable[P, T]], Flow[P, T]]:
    """Make a function a flow, whose state and log say what to do if it fails.

    Parameters
    ----------
    named
        Name of a run, with parameters of the flow in braces.
    seconds
        When a run that hangs is ended; None if it may take days.
    """

    def decorate(work: Callable[P, T]) -> Flow[P, T]:
        @wraps(work)
        def run(*arguments: P.args, **options: P.kwargs) -> T:
            try:
                return work(*arguments, **options)
            except Exception as error:  # noqa: BLE001 - whoever called the flow gets it from the state
                return cast("T", _fail(error))

        return flow(name=name, flow_run_name=name_run(named), log_prints=False, timeout_seconds=seconds)(run)

    return decorate


def _fail(error: Exception) -> "State[Exception]":
    """The state of a flow that failed: raised, Prefect would word it and keep the error, with what it quotes."""
    line = describe_failure(_name_end(error)).line
    get_run_logger().error(line, exc_info=None if isinstance(error, ScorelakeError) else error)
    return Failed(message=line, data=error)


@contextmanager
def begin_run(kind: str, model: str | None = None, now: datetime | None = None) -> Iterator[Entry]:
    """Begin a run and see it to its end: a failure is written into the ledger, and told until a run ends well.

    What fails before the first step, or between two, fails the run as a step does. Raises `LaterRelease` if a later
    release has migrated the lake: the run could not write what it has worked for.
    """
    entry = begin(kind, model, now)
    with tell_failure(entry):
        _check_release(entry.lake)
        yield entry
    resolve_failure(entry)


def _check_release(lake: Lake) -> None:
    if lake.catalog.exists():
        with read_lake(lake) as connection:
            check_writable(connection)


@contextmanager
def tell_failure(entry: Entry) -> Iterator[None]:
    """Write a failure of a run into the ledger, and tell it; it is raised all the same."""
    try:
        yield
    except (CancelledError, Exception) as found:
        error = _name_end(found)
        _tell(entry, error)
        if error is found:
            raise
        raise error from found


def _name_end(error: BaseException) -> Exception:
    """The error of a run; one of ours in place of those by which the system, Prefect or a person ends one."""
    if denied := explain_denied(error):
        return denied
    kept = "what was finished is kept. Look at its log for where it was"
    ending = error.__cause__ if isinstance(error, RuntimeError) else error  # DuckDB's, when it is within a query
    if isinstance(ending, CancelledError):  # Prefect's, when the time is over
        return Unavailable(f"the run was ended, since it took more than {RUN_SECONDS // 3600} hours; {kept}")
    if isinstance(ending, KeyboardInterrupt):
        return Unavailable(f"the run was ended by a person; {kept}")
    return cast("Exception", error)


def _tell(entry: Entry, error: Exception) -> None:
    failure = describe_failure(error)
    if not failure.is_recorded:
        _record_failure(entry, failure)
    if not getattr(error, _TOLD, False):  # by a run within this one
        setattr(error, _TOLD, True)
        raise_failure(entry, failure)


def run_step(entry: Entry, step: Callable[[], T]) -> T:
    """Run a step of a run, trying again what was unavailable."""
    attempts = stamina.retry_context(
        on=Unavailable,
        attempts=1 + entry.settings.retries,
        timeout=None,
        wait_initial=_FIRST_WAIT,
        wait_max=_LONGEST_WAIT,
    )
    for attempt in attempts:
        with attempt, _report_full_disk(entry):
            result = step()
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


def tell(entry: Entry, report: Report, pages: Pages | None = None) -> None:
    """Keep a report as the run's artifact, where the Prefect UI shows it."""
    key = f"{entry.kind}-{entry.model}" if entry.model else entry.kind
    pages = pages or Pages()
    try:
        with explain_silence():
            create_markdown_artifact(build_markdown(report, pages.links), key=key, description=entry.run_id)
            if pages.picture:
                create_image_artifact(pages.picture, key=f"{key}-picture", description=entry.run_id)
    except Unavailable as error:  # the run has done what it was asked for
        _log.warning("report not kept run_id=%s reason=%s", entry.run_id, error)


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

    def migrate(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
        before = read_release(connection)
        changed = migrate_tables(connection, tables)
        write_release(connection, before, datetime.now(UTC))
        return changed

    with write_lake(lake, purpose="migrate the tables") as connection:
        return run_transaction(connection, migrate)


def _record_failure(entry: Entry, failure: Failure) -> None:
    run = Run(
        run_id=f"{entry.run_id}-failed",
        kind=entry.kind,
        model=entry.model,
        started_at=entry.now,
        ended_at=entry.now,
        outcome=failure.outcome,
        details={"error": failure.said},
    )
    if not entry.lake.catalog.exists():
        return
    try:
        with write_lake(entry.lake, purpose="record a failure", wait_seconds=5) as connection:
            run_transaction(connection, lambda connection: append_run(connection, run))
    except (ScorelakeError, duckdb.Error, OSError) as other:  # the lake itself may be what failed
        _log.warning("failure not recorded run_id=%s reason=%s", entry.run_id, other)
