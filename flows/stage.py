"""What every flow shares: how a run begins, how its step is retried, and how its outcome is told.

The retry policy is written here once, on the family of the error: what is unavailable is tried again,
bad data and refusals are not.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from feature_repo.contracts import TABLES, build_score_tables
from feature_repo.errors import Refused, ScorelakeError, Unavailable
from feature_repo.lake import Lake, migrate_tables, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from flows.report import Report, build_markdown
from flows.settings import Settings, read_settings
from training.spec import list_specs, read_spec

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RETRY_DELAYS_SECONDS: Final = [10, 60, 300]


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of one stage: its settings, its instant and its id."""

    kind: str
    model: str | None
    settings: Settings
    now: datetime
    run_id: str

    @property
    def lake(self) -> Lake:
        """The lake the run works on."""
        return self.settings.lake


def begin_stage(kind: str, now: datetime | None, model: str | None = None) -> Stage:
    """Begin a run: read the settings and, if the caller gave none, the clock."""
    at = now or datetime.now(UTC)
    name = f"{kind}-{model}" if model else kind
    return Stage(kind, model, read_settings(), at, f"{name}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")


def run_step(stage: Stage, step: Callable[[], T]) -> T:
    """Run the step of a stage as one Prefect task; a failure is written into the ledger before it goes on."""
    work: Task[[], T] = task(
        step,
        name=stage.kind,
        task_run_name=stage.run_id,
        retries=stage.settings.retries,
        retry_delay_seconds=_RETRY_DELAYS_SECONDS,
        retry_condition_fn=_is_worth_retrying,
        cache_policy=NO_CACHE,
    )
    try:
        return work()
    except ScorelakeError as error:
        _record_failure(stage, error)
        raise


def tell(stage: Stage, report: Report) -> None:
    """Keep a report as the run's artifact, where the Prefect UI shows it."""
    key = f"{stage.kind}-{stage.model}" if stage.model else stage.kind
    create_markdown_artifact(build_markdown(report), key=key, description=stage.run_id)


def prepare_lake(lake: Lake) -> tuple[str, ...]:
    """Bring every table of the lake to its declaration, those of the models' scores included."""
    tables = [*TABLES, *(table for spec in map(read_spec, list_specs()) for table in build_score_tables(spec.name, spec.classes))]
    with write_lake(lake, purpose="migrate the tables") as connection:
        return run_transaction(connection, lambda connection: migrate_tables(connection, tables))


def _is_worth_retrying(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), Unavailable)


def _record_failure(stage: Stage, error: ScorelakeError) -> None:
    run = Run(
        run_id=f"{stage.run_id}-failed",
        kind=stage.kind,
        model=stage.model,
        started_at=stage.now,
        ended_at=stage.now,
        outcome="refused" if isinstance(error, Refused) else "failed",
        details={"error": str(error)},
    )
    if not stage.lake.catalog.exists():
        return
    try:
        with write_lake(stage.lake, purpose="record a failure", wait_seconds=5) as connection:
            run_transaction(connection, lambda connection: append_run(connection, run))
    except Unavailable as busy:
        _log.warning("failure not recorded run_id=%s reason=%s", stage.run_id, busy)
