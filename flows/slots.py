"""Slots of deployments that no run holds any more: the next run would wait for them for ever.

Prefect counts the slots of a deployment apart from its runs. A run that ends gives its own back; what a server counted
and forgot whom for, killed in between, is what is found here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)

from flows.crashed import BEGUN
from flows.deployments import FILE_TAG
from flows.prefect_api import open_client

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_OCCUPIED_SECONDS: Final = 1.0  # what Prefect is told of how long a slot was held; it only foretells waiting from it


@dataclass(frozen=True, slots=True)
class StuckSlots:
    """Slots of one deployment that no run holds; `limit` is the name of its limit in Prefect."""

    deployment: str
    limit: str
    count: int


def find_stuck(api: str) -> tuple[StuckSlots, ...]:
    """Find the slots of our deployments that no run holds; nothing is changed."""
    with open_client(api) as client:
        return tuple(_find_stuck(client))


def release_stuck(api: str) -> tuple[StuckSlots, ...]:
    """Release what `find_stuck` finds; returns it."""
    with open_client(api) as client:
        stuck = tuple(_find_stuck(client))
        for one in stuck:
            client.release_concurrency_slots([one.limit], one.count, _OCCUPIED_SECONDS)
    return stuck


def _find_stuck(client: "SyncPrefectClient") -> list[StuckSlots]:
    """Count slots between two looks at the runs: whoever held one meanwhile is in one of them."""
    before = _read_holders(client)
    ours = client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[FILE_TAG])), limit=200
    )
    taken = {one.id: one.global_concurrency_limit for one in ours if one.global_concurrency_limit}
    flows = {flow_id: client.read_flow(flow_id).name for flow_id in {one.flow_id for one in ours if one.id in taken}}
    holders = before | _read_holders(client)
    found = []
    for one in ours:
        if limit := taken.get(one.id):
            held = sum(deployment == one.id for _, deployment in holders)
            if limit.active_slots > held:
                found.append(StuckSlots(f"{flows[one.flow_id]}/{one.name}", limit.name, limit.active_slots - held))
    return found


def _read_holders(client: "SyncPrefectClient") -> set[tuple[UUID, UUID | None]]:
    """The runs that have begun, with their deployments."""
    begun = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=BEGUN)))
    return {(run.id, run.deployment_id) for run in client.read_flow_runs(flow_run_filter=begun, limit=200)}
