"""The flows that start, widen and withdraw a canary."""

from dataclasses import dataclass
from datetime import datetime

from prefect import flow

from flows.entry import begin, name_run
from flows.report import Report
from flows.score import build_options, run_request
from flows.stage import prepare_lake, run_step, tell
from scoring.owed import ScoreRequest
from scoring.score import ScoreReceipt
from training import canary
from training.canary import CanaryReceipt
from training.registry import resolve


@dataclass(frozen=True, slots=True)
class WithdrawalReceipt:
    """A canary that was withdrawn, and the scoring of its comments by the champion."""

    canary: CanaryReceipt
    scoring: ScoreReceipt


@flow(name="canary", flow_run_name=name_run("canary-{model}"), log_prints=False)
def start_canary(
    model: str,
    version: str = "challenger",
    share: float = 0.05,
    overruling: str | None = None,
    now: datetime | None = None,
) -> CanaryReceipt:
    """Have a version score a stable share of the channels for production; a greater share widens it.

    Args:
        model: Name of the model: sentiment or spam.
        version: Number of a version, previous or challenger.
        share: Share of the channels, 0 to 1.
        overruling: Why the gate is overruled, for the ledger; it is obeyed if not given.
        now: Instant of the run; the clock if not given.
    """
    entry = begin("canary", model, now)
    prepare_lake(entry.lake)
    receipt = run_step(
        entry,
        lambda: canary.start_canary(
            entry.lake,
            resolve(entry.lake, model, version),
            share,
            run_id=entry.run_id,
            now=entry.now,
            overruling=overruling,
        ),
    )
    tell(entry, build_report(receipt))
    return receipt


@flow(name="withdraw-canary", flow_run_name=name_run("withdraw-canary-{model}"), log_prints=False)
def withdraw_canary(model: str, reason: str = "withdrawn by hand", now: datetime | None = None) -> WithdrawalReceipt:
    """End a canary, and have the champion score the comments of which its score is in force.

    Args:
        model: Name of the model: sentiment or spam.
        reason: Why, for the ledger.
        now: Instant of the run; the clock if not given.
    """
    entry = begin("backfill", model, now)
    prepare_lake(entry.lake)
    ended = run_step(
        entry,
        lambda: canary.withdraw_canary(entry.lake, model, reason=reason, run_id=entry.run_id, now=entry.now),
    )
    request = ScoreRequest(model, "backfill", instead_of=ended.canary)
    scored = run_request(entry, request, build_options(entry.settings, None, None))
    return WithdrawalReceipt(ended, scored)


def build_report(receipt: CanaryReceipt | WithdrawalReceipt) -> Report:
    """Build the report of a canary that was started, or withdrawn."""
    if isinstance(receipt, WithdrawalReceipt):
        facts = {"champion": receipt.canary.champion, "comments scored by it": receipt.scoring.rows_scored}
        return Report(f"{receipt.canary.model}: canary {receipt.canary.canary} withdrawn", facts)
    title = f"{receipt.model}: version {receipt.canary} scores {receipt.share:.2%} of the channels from now on"
    return Report(title, {"champion": receipt.champion, "canary": receipt.canary})
