"""The flows that start, widen and withdraw a canary."""

from dataclasses import dataclass
from datetime import datetime

from flows.report import Report
from flows.score import build_options, run_request
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
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


@stage("canary", named="canary-{model}", seconds=None)
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
    with begin_run("canary", model, now) as entry:
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


@stage("withdraw-canary", named="withdraw-canary-{model}", seconds=None)
def withdraw_canary(model: str, reason: str = "withdrawn by hand", now: datetime | None = None) -> WithdrawalReceipt:
    """End a canary, and have the champion score the comments of which its score is in force.

    Args:
        model: Name of the model: sentiment or spam.
        reason: Why, for the ledger.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("backfill", model, now) as entry:
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
