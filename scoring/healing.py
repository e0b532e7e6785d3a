"""What an alarm calls for: back to the version before, training anew, or a person.

A version that was promoted just before its predictions drifted, and no feature, is taken back. Anything else (the
comments have changed, the version is old, or has been put back already, or the gate refused the one before it) is
answered by training, where the gate decides as always; so is decay: a champion that late labels show to be less right
than promised. The decision is pure; what it needs is read here, what is done about it belongs to `flows`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from training.promotions import Action, Standing, is_refused_by_gate, read_last_change, read_standing

if TYPE_CHECKING:
    import duckdb

Act = Literal["roll back", "train", "none"]

_LAST_ACT: Final = (
    "select started_at, details ->> 'act' from ops.runs where kind = 'heal' and outcome = 'done' and model = ? "
    "order by started_at desc limit 1"
)


@dataclass(frozen=True, slots=True)
class HealingPolicy:
    """For how long a version counts as fresh, and how long a model is left alone after an act."""

    fresh: timedelta = timedelta(days=7)
    cooldown: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Symptom:
    """An alarm that is on: the run that found it, the check of its first violation, and what drifted.

    Features drift without any doing of a version, and take its predictions along. Decay is told by late labels, of
    whatever version was in force.
    """

    run_id: str
    began_at: datetime
    has_drifting_predictions: bool = False
    has_drifting_features: bool = False
    is_decay: bool = False

    @property
    def kind(self) -> str:
        """What the ledger calls it."""
        return "decay" if self.is_decay else "drift"


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger says of a model: how its champion became it, and the last automatic act, and when.

    `is_previous_refused` says whether the champion before is a version that somebody promoted over the gate's refusal.
    """

    standing: Standing
    changed_by: Action | None = None
    changed_at: datetime | None = None
    last_act_at: datetime | None = None
    last_act: Act | None = None
    is_previous_refused: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, and why."""

    act: Act
    why: str


def decide(symptom: Symptom, history: History, policy: HealingPolicy, now: datetime) -> Decision:
    """Decide what an alarm calls for."""
    if history.last_act_at is not None and now - history.last_act_at < policy.cooldown:
        return Decision("none", f"there was an automatic act at {history.last_act_at:%Y-%m-%d %H:%M} UTC already")
    reason = _find_reason_to_keep(symptom, history, policy, now)
    if reason and history.last_act == "train" and _is_answered(symptom, history, policy, now):
        return Decision("none", f"this alarm started training at {history.last_act_at:%Y-%m-%d %H:%M} UTC already")
    if reason:
        return Decision("train", reason)
    champion, since = history.standing.champion, history.changed_at
    return Decision(
        "roll back", f"version {champion} was promoted at {since:%Y-%m-%d %H:%M} UTC, before the drift began"
    )


def _is_answered(symptom: Symptom, history: History, policy: HealingPolicy, now: datetime) -> bool:
    """Whether the last act came after the alarm began, and too short a time ago to show what it is worth.

    What drifted stays in the windows for weeks, whatever is trained; the weekly training goes on beside it.
    """
    at = history.last_act_at
    return at is not None and symptom.began_at <= at and now - at < policy.fresh


def _find_reason_to_keep(symptom: Symptom, history: History, policy: HealingPolicy, now: datetime) -> str:
    """Why the champion is no suspect; empty if it is one."""
    champion, since = history.standing.champion, history.changed_at
    if symptom.is_decay:
        return f"version {champion} is less often right than it promised, as late labels say"
    if history.changed_by != "promoted" or since is None:
        return f"version {champion} was not newly promoted"
    if now - since > policy.fresh:
        return f"version {champion} has been champion for {(now - since).days} days"
    if symptom.began_at < since:
        return f"the drift began before version {champion} was promoted"
    if symptom.has_drifting_features or not symptom.has_drifting_predictions:
        too = "and what" if symptom.has_drifting_predictions else "and not what"
        return f"features drifted, {too} version {champion} says"
    return _find_reason_not_to_return(history)


def _find_reason_not_to_return(history: History) -> str:
    """Why the champion before is none to go back to; empty if it is one."""
    champion, previous = history.standing.champion, history.standing.previous
    if previous is None:
        return f"there is no champion before version {champion}"
    if history.is_previous_refused:
        return f"the gate refused version {previous}, which was champion before version {champion}"
    return ""


def begin_healing(
    lake: Lake, model: str, symptom: Symptom, policy: HealingPolicy, *, run_id: str, now: datetime
) -> tuple[Decision, Standing]:
    """Decide, and write an act into the ledger before it is done: what fails is not tried again within the cooldown.

    Returns the decision, and who was champion when it was taken. Two runs cannot both decide to act: they read and
    write under the writer's lock.
    """

    def work(connection: "duckdb.DuckDBPyConnection") -> tuple[Decision, Standing]:
        history = read_history(connection, model)
        decision = decide(symptom, history, policy, now)
        if decision.act != "none":
            details = {"act": decision.act, "why": decision.why, "cause": symptom.run_id, "symptom": symptom.kind}
            version = history.standing.champion
            append_run(connection, Run(run_id, "heal", now, now, model=model, model_version=version, details=details))
        return decision, history.standing

    with write_lake(lake, purpose=f"heal {model}") as connection:
        return run_transaction(connection, work)


def read_history(connection: "duckdb.DuckDBPyConnection", model: str) -> History:
    """Read what the ledger says of a model's champion and of the automatic acts for it."""
    changed_by, changed_at = read_last_change(connection, model) or (None, None)
    row = connection.execute(_LAST_ACT, [model]).fetchone()
    standing = read_standing(connection, model)
    is_refused = standing.previous is not None and is_refused_by_gate(connection, model, standing.previous)
    last_act_at, last_act = row or (None, None)
    return History(standing, changed_by, changed_at, last_act_at, last_act, is_refused)
