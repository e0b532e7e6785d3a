"""What is done by itself about drift and decay: a rollback with its backfill, or training; at most one act a day.

What is called for is decided in `scoring.healing`, which also writes it into the ledger.
"""

from dataclasses import dataclass

from prefect import get_client
from prefect.runtime import deployment

from feature_repo.errors import ScorelakeError
from flows.alerts import raise_alert, resolve_failure
from flows.automations import request_training
from flows.entry import Entry, begin
from flows.score import build_options, run_request
from flows.stage import run_step, tell_failure
from flows.train import summarize, train
from scoring.healing import Decision, Symptom, begin_healing
from scoring.owed import ScoreRequest
from training.promote import roll_back
from training.promotions import Standing


@dataclass(frozen=True, slots=True)
class HealReceipt:
    """What was done about an alarm, why, and what came of it, in a sentence."""

    model: str
    decision: Decision
    outcome: str


def heal(entry: Entry, model: str, symptom: Symptom) -> HealReceipt | None:
    """Answer an alarm of a model, drift or decay, and tell what was done; None if healing is switched off.

    What fails is told as the failure of its own run; the run that watches goes on.
    """
    if not entry.settings.heal:
        return None
    own = begin("heal", model, entry.now)
    try:
        with tell_failure(own):
            decision, standing = run_step(own, lambda: _decide(own, model, symptom))
            if decision.act == "none":
                return HealReceipt(model, decision, "left alone")  # what failed before is not well again
            outcome = _roll_back(own, model, standing, decision) if decision.act == "roll back" else _train(own, model)
    except ScorelakeError as error:
        return HealReceipt(model, Decision("none", str(error)), "failed")
    resolve_failure(own)
    said = f"Because {decision.why}. {outcome} The alarm is of run {symptom.run_id}."
    raise_alert(own, f"heal/{model}", severity="info", subject=f"healing itself: {decision.act}", message=said)
    return HealReceipt(model, decision, outcome)


def _decide(own: Entry, model: str, symptom: Symptom) -> tuple[Decision, Standing]:
    return begin_healing(own.lake, model, symptom, own.settings.healing_policy, run_id=own.run_id, now=own.now)


def _roll_back(own: Entry, model: str, standing: Standing, decision: Decision) -> str:
    reason = f"Rolled back by run {own.run_id}: {decision.why}."
    changed = run_step(own, lambda: roll_back(own.lake, model, reason=reason, run_id=own.run_id, now=own.now))
    request = ScoreRequest(model, "backfill", instead_of=standing.champion)
    scoring = begin("backfill", model, own.now)
    receipt = run_request(scoring, request, build_options(own.settings, None, None))
    before, after = changed.champion_before, changed.champion_after
    return (
        f"Version {after} is champion again, and has scored {receipt.rows_scored:,} comments instead of version "
        f"{before}. Look at why version {before} went wrong."
    )


def _train(own: Entry, model: str) -> str:
    # A deployment's run has a server with automations, and training a deployment with settings of its own.
    if deployment.id:
        with get_client(sync_client=True) as client:
            return request_training(client, model, own.run_id)
    return f"Trained: {summarize(train(model, now=own.now))}."
