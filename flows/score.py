"""The flow that scores what a model owes."""

from datetime import datetime

from prefect import flow

from flows.owed import build_report
from flows.progress import report_progress
from flows.stage import begin_stage, run_step, tell
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
    stage = begin_stage("score", now, model)
    options = ScoreOptions(stage.settings.partition_rows, workers or stage.settings.workers)
    receipt = run_step(
        stage,
        lambda: score_owed(
            stage.lake,
            model,
            run_id=stage.run_id,
            now=stage.now,
            options=options,
            on_progress=lambda done, total: report_progress(f"score {model}", done, total),
        ),
    )
    tell(stage, build_report(receipt))
    return receipt
