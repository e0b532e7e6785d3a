"""The flows that score: what a model owes, hour by hour, and what a version has not scored yet, however old."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from flows.entry import Entry
from flows.owed import build_report, check_model
from flows.progress import report_progress
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
from flows.terminal import EngineName
from scoring.dask_engine import DaskEngine
from scoring.economics import size_partitions
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.published import publish_file
from scoring.score import ScoreOptions, ScoreReceipt, score_owed
from training.registry import resolve

if TYPE_CHECKING:
    from flows.settings import Settings
    from scoring.engine import Engine


@stage("score", named="score-{model}")
def score(
    model: str,
    shadow: str | None = None,
    workers: int | None = None,
    engine: EngineName | None = None,
    now: datetime | None = None,
) -> ScoreReceipt:
    """Score every comment that the model owes, exactly once, into `scores.<model>`.

    Args:
        model: Name of the model: sentiment or spam.
        shadow: Number of a version, or challenger: it scores what production has scored, and nothing that it says is in
            force.
        workers: Processes; the setting if not given.
        engine: Local processes, or a Dask cluster; the setting if not given.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("shadow" if shadow else "score", model, now) as entry:
        request = ScoreRequest(model)
        if shadow:
            request = ScoreRequest(model, "shadow", resolve(entry.lake, model, shadow).version)
        return run_request(entry, request, build_options(entry.settings, workers, engine))


@stage("backfill", named="backfill-{model}", seconds=None)
def backfill(  # noqa: PLR0913, PLR0917 - a form in Prefect's UI
    model: str,
    version: str | None = None,
    published_from: datetime | None = None,
    published_to: datetime | None = None,
    instead_of: str | None = None,
    workers: int | None = None,
    engine: EngineName | None = None,
    now: datetime | None = None,
) -> ScoreReceipt:
    """Score what a version has not scored yet, however old, while hourly runs go on.

    Args:
        model: Name of the model: sentiment or spam.
        version: Number of a version, or champion, previous or challenger; those that the ledger assigns if not given.
            What an assigned version says is in force from then on, what another one says is not.
        published_from: Only comments written from (inclusive) to (exclusive) these instants.
        published_to: Only comments written from (inclusive) to (exclusive) these instants.
        instead_of: Only comments whose score in force is by this version.
        workers: Processes; the setting if not given.
        engine: Local processes, or a Dask cluster; the setting if not given.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("backfill", model, now) as entry:
        number = resolve(entry.lake, model, version).version if version else None
        request = ScoreRequest(model, "backfill", number, published_from, published_to, instead_of)
        return run_request(entry, request, build_options(entry.settings, workers, engine))


def run_request(entry: Entry, request: ScoreRequest, options: ScoreOptions) -> ScoreReceipt:
    """Run a request as the step of a flow, and bring the published file up to date with it."""
    check_model(request.model)
    prepare_lake(entry.lake)
    receipt = run_step(
        entry,
        lambda: score_owed(
            entry.lake,
            request,
            run_id=entry.run_id,
            now=entry.now,
            options=replace(options, on_progress=partial(report_progress, f"score {request.model}")),
        ),
    )
    if receipt.run_id is not None:
        run_step(entry, lambda: publish_file(entry.lake, run_id=entry.run_id))
    tell(entry, build_report(receipt))
    return receipt


def build_options(settings: "Settings", workers: int | None, engine: EngineName | None) -> ScoreOptions:
    """What the settings say of scoring, but for what a run says itself."""
    count = workers or settings.workers
    chosen: Engine = LocalEngine(count)
    if (engine or settings.engine) == "dask":
        chosen = DaskEngine(settings.dask_scheduler, count)
    rows = settings.partition_rows or size_partitions(count)
    return ScoreOptions(rows, chosen, settings.unscored_share_limit, settings.disk_reserve_mib)
