"""What a model owes and has scored, told without the libraries that score: a run with nothing owed is cheap."""

from feature_repo.errors import BadData
from flows.report import Report
from scoring.plan import ScoreReceipt
from training.spec import list_specs


def check_model(model: str) -> None:
    """Check that there is such a model; raises `BadData` with those that there are."""
    if model not in list_specs():
        raise BadData(f"there is no model {model!r}; there are {', '.join(list_specs())}")


def build_report(receipt: ScoreReceipt) -> Report:
    """Build the report of a scoring run, or of what it would do."""
    behind = f"features are behind by {receipt.batches_ahead} data versions: run `scorelake materialize`, then score"
    notes = (behind,) if receipt.batches_ahead > 0 else ()
    if receipt.run_id is None:
        return Report(_tell_owed(receipt), notes=notes)
    facts = {
        "model version": receipt.model_version,
        "rows owed": receipt.rows_owed,
        "rows scored": receipt.rows_scored,
        **({"rows expired before": receipt.rows_expired} if receipt.rows_expired else {}),
        "data version": receipt.data_version,
        "rows per second": round(receipt.rows_scored / max(receipt.seconds.get("score", 0.0), 1e-9)),
        "seconds": sum(receipt.seconds.get(stage, 0.0) for stage in ("plan", "score")),
        "run": receipt.run_id,
    }
    title = f"{receipt.model}: {receipt.rows_scored:,} comments scored"
    return Report(title + " (taken up from an interrupted run)" * receipt.is_resumed, facts, notes=notes)


def _tell_owed(receipt: ScoreReceipt) -> str:
    if receipt.rows_owed:
        return f"{receipt.model} owes {receipt.rows_owed:,} comments, up to data version {receipt.data_version}"
    return f"Nothing owed: {receipt.model} has scored everything up to data version {receipt.data_version}"
