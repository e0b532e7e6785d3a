"""The flow that evaluates a model version on the rows held out today."""

from datetime import datetime

from flows.evaluation import build_grids
from flows.report import Report
from flows.stage import begin_run, run_step, stage, tell
from flows.train import read_trainable_version
from training.reevaluate import EvaluateReceipt, evaluate_model
from training.spec import read_spec


@stage("evaluate", named="evaluate-{model}")
def evaluate(model: str, version: str | None = None, now: datetime | None = None) -> EvaluateReceipt:
    """Evaluate a version on the rows that are held out now; they grow as labels come in.

    Args:
        model: Name of the model: sentiment or spam.
        version: Version number; the champion if not given.
        now: Instant of the run; labels given later do not count; the clock if not given.
    """
    with begin_run("evaluate", model, now) as entry:
        spec = read_spec(model)
        data_version = read_trainable_version(entry.lake)
        receipt = run_step(
            entry,
            lambda: evaluate_model(
                entry.lake,
                spec,
                version=version or "champion",
                run_id=entry.run_id,
                now=entry.now,
                data_version=data_version,
            ),
        )
        tell(entry, build_report(receipt))
        return receipt


def build_report(receipt: EvaluateReceipt) -> Report:
    """Build the report of an evaluation."""
    facts = {"data version": receipt.data_version, "seconds": sum(receipt.stage_seconds.values())}
    return Report(f"{receipt.model} version {receipt.version}", facts, build_grids(receipt.evaluation))
