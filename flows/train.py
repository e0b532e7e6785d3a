"""The flow that trains a model and lets the gate decide."""

from datetime import datetime, timedelta
from typing import Any

from feature_repo.errors import BadData, Refused, Unavailable
from feature_repo.lake import Lake, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version
from flows.approval import build_ask
from flows.evaluation import build_grids, build_verdict_grid
from flows.pages import find_version_pages
from flows.report import Report
from flows.stage import begin_run, run_step, stage, tell
from training.card import show_estimate
from training.spec import read_spec
from training.train import TrainReceipt, train_model


@stage("train", named="train-{model}", seconds=None)
def train(
    model: str,
    candidate: dict[str, Any] | None = None,
    now: datetime | None = None,
    *,
    is_again: bool = False,
    needs_approval: bool = False,
    approval_hours: float = 24,
) -> TrainReceipt:
    """Train a model on what is labelled, evaluate it on what is held out, and promote it if the gate lets it.

    If an earlier run did so from the same data, features, settings, code and dependencies, nothing is done.

    Args:
        model: Name of the model: sentiment or spam.
        candidate: Changes to the model's recipe, such as {"C": 0.1}; none for the recipe as it is.
        now: Instant of the run; labels given later do not count; the clock if not given.
        is_again: Trains whatever earlier runs did.
        needs_approval: Pauses before a version that passed the gate is promoted, until a person answers in the Prefect
            UI.
        approval_hours: How long; nobody answering counts as a rejection.
    """
    with begin_run("train", model, now) as entry:
        spec = read_spec(model)
        data_version = read_trainable_version(entry.lake)
        receipt = run_step(
            entry,
            lambda: train_model(
                entry.lake,
                spec,
                run_id=entry.run_id,
                now=entry.now,
                data_version=data_version,
                candidate=candidate,
                is_again=is_again,
                ask=build_ask(spec.name, wait=timedelta(hours=approval_hours)) if needs_approval else None,
            ),
        )
        tell(entry, build_report(receipt), find_version_pages(entry.lake, model, receipt.version))
        return receipt


def read_trainable_version(lake: Lake) -> int:
    """Read the data version that features are there for; raises `Unavailable` if they are behind the data."""
    with read_lake(lake) as connection:
        found, materialized = read_data_version(connection), read_materialized_version(connection)
    if found == 0:
        raise BadData("there is nothing to learn from; ingest comments and labels first")
    if materialized < found:
        raise Unavailable(
            f"features are there up to data version {materialized} of {found}; run `scorelake materialize` first"
        )
    return materialized


def summarize(receipt: TrainReceipt) -> str:
    """Say in a line what came of a training run."""
    if receipt.is_unchanged:
        return f"nothing done: {receipt.why}"
    values = receipt.evaluation.overall.values
    figures = f"accuracy {show_estimate(values['accuracy'])}, macro-F1 {show_estimate(values['macro_f1'])}"
    failed = [check.name for check in receipt.verdict.checks if not check.is_passed]
    verdict = "promoted" if receipt.verdict.is_promoted else f"REFUSED by the gate ({', '.join(failed)})"
    return f"version {receipt.version} {verdict}; {figures}"


def check_promoted(receipt: TrainReceipt) -> None:
    """Raise `Refused` if the gate refused the version: a command then ends with exit code 3.

    A verdict of an earlier run, which still holds, was that run's to tell: there was nothing to do.
    """
    if not receipt.verdict.is_promoted and not receipt.is_unchanged:
        stays = (
            f"version {receipt.champion_after} stays champion" if receipt.champion_after else "there is no champion yet"
        )
        raise Refused(f"{receipt.model} version {receipt.version} was not promoted; {stays}")


def build_report(receipt: TrainReceipt) -> Report:
    """Build the report of a training run: verdict, figures, slices, the gate's sentences."""
    facts = {
        _head_why(receipt): receipt.why,
        "rows": receipt.rows,
        **({"rows left out, their text has expired": receipt.rows_expired} if receipt.rows_expired else {}),
        "data version": receipt.data_version,
        "digest of the training set": receipt.digest[:16],
        "champion": f"{receipt.champion_before or 'none'} → {receipt.champion_after or 'none'}",
        "seconds": sum(receipt.stage_seconds.values()),
    }
    grids = (*build_grids(receipt.evaluation), build_verdict_grid(receipt.verdict))
    verdict = "promoted" if receipt.verdict.is_promoted else "REFUSED"
    stands = "nothing done, it stands as " if receipt.is_unchanged else ""
    return Report(f"{receipt.model} version {receipt.version}: {stands}{verdict}", facts, grids)


def _head_why(receipt: TrainReceipt) -> str:
    if receipt.is_unchanged:
        return "nothing done, because"
    return "judged again without a fit, because" if receipt.is_reused else "fitted, because"
