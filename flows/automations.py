"""Prefect automations: what a server does by itself when an event comes, or when one stays away.

Training on request belongs to its deployments and is declared with them in prefect.yaml; what belongs to no deployment
is declared here. An operator may switch any of them off in Prefect's UI.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from prefect.client.schemas.objects import StateType
from prefect.events import Automation, AutomationCore, EventTrigger, Posture, emit_event
from prefect.events.actions import ChangeFlowRunState

from flows.deployments import Difference, name_retraining

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

TRAINING_WANTED: Final = "scorelake.training-wanted"
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"  # how often: prefect.yaml
_ENDS: Final = ("Completed", "Failed", "Cancelled", "Crashed")
_SILENCE: Final = timedelta(minutes=5)

# A worker reports the end of its runs; one that dies with them cannot, and their slots would be taken for ever.
CRASHED: Final = AutomationCore(
    name="scorelake: runs that have gone silent",
    description="Marks a run as crashed that has given no sign of life for five minutes: its slot is free again.",
    trigger=EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        after={_HEARTBEAT},
        expect={_HEARTBEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)},
        posture=Posture.Proactive,
        threshold=1,
        within=_SILENCE,
    ),
    actions=[
        ChangeFlowRunState(
            name="Crashed",
            state=StateType.CRASHED,
            message="No sign of life for five minutes; its process is gone.",
            force=False,
        )
    ],
)


def install_automations(client: "SyncPrefectClient") -> None:
    """Bring the automations that belong to no deployment to their declaration; one that is switched off stays off."""
    found = client.read_automations_by_name(CRASHED.name)
    if not found:
        client.create_automation(CRASHED)
    for one in found:
        if not _is_declared(one):
            client.update_automation(one.id, CRASHED.model_copy(update={"enabled": one.enabled}))


def compare_automations(client: "SyncPrefectClient") -> Iterator[Difference]:
    """What a server has otherwise than declared here."""
    found = client.read_automations_by_name(CRASHED.name)
    if not found:
        yield Difference("automation", CRASHED.name, "there", "nothing")
    elif not all(map(_is_declared, found)):
        yield Difference("automation", CRASHED.name, "as declared", "another")


def _is_declared(found: Automation) -> bool:
    ours, theirs = (one.model_dump(mode="json", include={"trigger", "actions"}) for one in (CRASHED, found))
    return _without_ids(ours) == _without_ids(theirs)


def _without_ids(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_ids(inner) for name, inner in value.items() if name != "id"}
    if isinstance(value, list):  # a set among them has another order in every process
        return sorted((_without_ids(inner) for inner in value), key=str)
    return value


def request_training(client: "SyncPrefectClient", model: str, cause: str) -> str:
    """Ask for training, which the model's automation starts; returns what came of it, in a sentence."""
    name = name_retraining(model)
    found = client.read_automations_by_name(name)
    if not found:
        return f"Training was not started: there is no automation {name}. Run `scorelake deploy`."
    if not any(one.enabled for one in found):
        return f"Training was not started: the automation {name} is switched off. Train by hand, or switch it on."
    resource = {"prefect.resource.id": f"scorelake.model.{model}", "prefect.resource.name": model}
    emit_event(event=TRAINING_WANTED, resource=resource, payload={"cause": cause})
    return f"Training was asked for, and the automation {name} starts it; the gate decides."
