"""The flow that scores what a model owes."""

from datetime import datetime

from prefect import flow

from flows.entry import begin
from flows.owed import build_report
from flows.progress import report_progress
from flows.stage import run_step, tell
from scoring.plan import ScoreReceipt
from scoring.score import ScoreOptions, score_owed


@flow(name="score", flow_run_name="score-{model}", log_prints=False)
def score(model: str, workers: int | None = None, now: datetime | None = None) -> ScoreReceipt:
    """Score every comment that the model owes, exactly once, into `scores.<model>`.

    Parameters
    ----------
    model
        Name of the model: sentiment or spam.
    workers
        Local processes; the setting if not given.
    now
        Instant of the run; the clock if not given.
    """
    entry = begin("score", model, now)
    options = ScoreOptions(entry.settings.partition_rows, workers or entry.settings.workers)
    receipt = run_step(
        entry,
        lambda: score_owed(
            entry.lake,
            model,
            run_id=entry.run_id,
            now=entry.now,
            options=options,
            on_progress=lambda done, total: report_progress(f"score {model}", done, total),
        ),
    )
    tell(entry, build_report(receipt))
    return receipt
