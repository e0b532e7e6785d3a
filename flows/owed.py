"""What a model owes and has scored, told without the libraries that score: a run with nothing owed is cheap."""

from datetime import timedelta

from feature_repo.errors import BadData
from flows.report import Report
from scoring.score import ScoreReceipt
from training.spec import list_specs

_MIB = 1 << 20


def check_model(model: str) -> None:
    """Check that there is such a model; raises `BadData` with those that there are."""
    if model not in list_specs():
        raise BadData(f"there is no model {model!r}; there are {', '.join(list_specs())}")


def build_report(receipt: ScoreReceipt) -> Report:
    """Build the report of a scoring run, or of what it would do."""
    behind = f"features are behind by {receipt.batches_ahead} data versions: run `scorelake materialize`, then score"
    notes: tuple[str, ...] = (behind,) if receipt.batches_ahead > 0 else ()
    if receipt.run_id is None:
        return Report(_tell_owed(receipt), _tell_cost(receipt), notes=notes)
    if receipt.rows_unscored:
        notes += (f"why {receipt.rows_unscored:,} comments have no score stands in monitoring.unscored",)
    facts = {
        "model version": ", ".join(receipt.versions),
        "role": receipt.request.role,
        "rows owed": receipt.rows_owed,
        "rows scored": receipt.rows_scored,
        **({"rows expired before": receipt.rows_expired} if receipt.rows_expired else {}),
        **({"rows at which the model failed": receipt.rows_unscored} if receipt.rows_unscored else {}),
        "data version": receipt.data_version,
        "rows per second": round(receipt.rows_scored / max(receipt.seconds.get("score", 0.0), 1e-9)),
        "seconds": sum(receipt.seconds.values()),
        "run": receipt.run_id,
    }
    title = f"{receipt.request.model}: {receipt.rows_scored:,} comments scored"
    return Report(title + " (taken up from an interrupted run)" * receipt.is_resumed, facts, notes=notes)


def _tell_owed(receipt: ScoreReceipt) -> str:
    model = receipt.request.model
    if receipt.rows_owed:
        return f"{model} owes {receipt.rows_owed:,} comments, up to data version {receipt.data_version}"
    return f"Nothing owed: {model} has scored everything up to data version {receipt.data_version}"


def _tell_cost(receipt: ScoreReceipt) -> dict[str, object]:
    if receipt.cost is None or not receipt.rows_owed:
        return {}
    return {
        "model version": ", ".join(receipt.versions) or "none yet",
        "would take about": str(timedelta(seconds=round(receipt.cost.seconds))),
        "would write about, MiB": round(receipt.cost.bytes_written / _MIB, 1),
    }
