"""Bringing a Prefect server to prefect.yaml: apply the file, then ask the server what it has made of it.

The file is applied by Prefect's own `prefect deploy`, which knows its format. What that leaves open is done here: what
an operator has switched off stays off, and a schedule that is not in the file goes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.events import Automation
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from feature_repo.errors import Refused, Unavailable
from flows.automations import compare_automations, install_automations
from flows.deployments import (
    FILE_TAG,
    POOL,
    Deployment,
    Difference,
    Schedule,
    Trigger,
    compare,
    keep_switches,
    read_file,
    show_value,
)
from flows.prefect_api import open_client
from flows.report import Grid, Report

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

ROOT: Final = Path(__file__).parents[1]
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class DeployReceipt:
    """What a server has now, and what was not so before.

    Parameters
    ----------
    corrected
        What the server had otherwise than the file says, deployments that it did not have included.
    outdated
        Deployments that an earlier release of the file made and that this one does not have.
    """

    api: str
    deployments: tuple[Deployment, ...]
    corrected: tuple[Difference, ...]
    outdated: tuple[str, ...]
    is_outdated_removed: bool
    is_pool_paused: bool


class DeploymentsDiffer(Refused):
    """A check found a server otherwise than the file: nothing was changed, and a deploy puts it right."""

    def __init__(self, api: str, differences: tuple[Difference, ...]) -> None:
        super().__init__(f"{api} is not as prefect.yaml says; run `scorelake deploy`. {_tell(differences)}")


def check_deployments(api: str) -> DeployReceipt:
    """Compare a server with the file and change nothing; raises `DeploymentsDiffer`."""
    with open_client(api) as client:
        before = _read_server(client)
        expected = _expect(before)
        if differences := (*compare(expected, before), *compare_automations(client)):
            raise DeploymentsDiffer(api, differences)
        return DeployReceipt(api, expected, (), _find_outdated(before), False, _is_pool_paused(client))


def deploy(api: str, log: Path, *, is_removing: bool = False) -> DeployReceipt:
    """Apply the file to a server and verify it; safe to repeat.

    Parameters
    ----------
    api
        Address of the Prefect API, to which PREFECT_API_URL must lead as well.
    log
        File that gets what Prefect says.
    is_removing
        Whether deployments of earlier releases are removed.

    Raises
    ------
    Unavailable
        If the server does not answer, or is otherwise than the file afterwards: somebody else deploys at the same time.
    """
    with open_client(api) as client:
        _make_pool(client)
        before = _read_server(client)
        expected = _expect(before)
        _delete_foreign_schedules(client, expected)
        _apply_file(log)
        _pause_again(client, expected)
        install_automations(client)
        outdated = _find_outdated(before)
        if is_removing:
            for name in outdated:
                client.delete_deployment(client.read_deployment_by_name(name).id)
        found = _read_server(client)
        if differences := (*compare(expected, found), *compare_automations(client)):
            raise Unavailable(
                f"{api} was told the deployments and has others; does somebody else deploy? {_tell(differences)}"
            )
        return DeployReceipt(api, expected, compare(expected, before), outdated, is_removing, _is_pool_paused(client))


def _expect(before: Mapping[str, Deployment]) -> tuple[Deployment, ...]:
    return tuple(keep_switches(one, before.get(one.name)) for one in read_file(ROOT / "prefect.yaml"))


def _find_outdated(before: Mapping[str, Deployment]) -> tuple[str, ...]:
    declared = {one.name for one in read_file(ROOT / "prefect.yaml")}
    return tuple(sorted(name for name, one in before.items() if name not in declared and FILE_TAG in one.tags))


def _make_pool(client: "SyncPrefectClient") -> None:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        with suppress(ObjectAlreadyExists):  # made by somebody else, just now
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))


def _is_pool_paused(client: "SyncPrefectClient") -> bool:
    return client.read_work_pool(POOL).is_paused


def _read_server(client: "SyncPrefectClient") -> dict[str, Deployment]:
    """The deployments of the server that are in the file or came from an earlier one, by name."""
    found = {}
    for name in (one.name for one in read_file(ROOT / "prefect.yaml")):
        with suppress(ObjectNotFound):
            found[name] = _read_response(client, client.read_deployment_by_name(name), name)
    tagged = client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[FILE_TAG])), limit=200
    )
    flows = {flow_id: client.read_flow(flow_id).name for flow_id in {one.flow_id for one in tagged}}
    others = {f"{flows[one.flow_id]}/{one.name}": one for one in tagged}
    return {name: _read_response(client, one, name) for name, one in others.items() if name not in found} | found


def _read_response(client: "SyncPrefectClient", found: "DeploymentResponse", name: str) -> Deployment:
    limit, options = found.global_concurrency_limit, found.concurrency_options
    return Deployment(
        name=name,
        schedules=tuple(
            Schedule(
                one.slug or "",
                getattr(one.schedule, "cron", repr(one.schedule)),
                getattr(one.schedule, "timezone", None) or "UTC",
                one.active,
            )
            for one in sorted(found.schedules, key=lambda one: one.slug or "")
        ),
        limit=limit.limit if limit else None,
        collision=options.collision_strategy.value if options else None,
        tags=tuple(sorted(found.tags)),
        work_pool=found.work_pool_name,
        description=found.description or "",
        version=found.version or "",
        is_paused=found.paused,
        parameters=found.parameters,
        job_variables=found.job_variables,
        triggers=tuple(map(_read_trigger, _read_automations(client, found))),
    )


def _read_automations(client: "SyncPrefectClient", deployment: "DeploymentResponse") -> list[Automation]:
    """Automations that `prefect deploy` has made for a deployment; the server tells no owner, so by their names."""
    ours = {trigger.name for one in read_file(ROOT / "prefect.yaml") for trigger in one.triggers}
    related = client.read_resource_related_automations(f"prefect.deployment.{deployment.id}")
    return sorted((one for one in related if one.name in ours), key=lambda one: one.name)


def _read_trigger(found: Automation) -> Trigger:
    trigger = found.trigger.model_dump(mode="json")
    events, resource = trigger.get("expect", [trigger["type"]]), trigger.get("match", {}).get("prefect.resource.id", "")
    return Trigger(found.name, ", ".join(sorted(events)), str(resource), found.enabled)


def _delete_foreign_schedules(client: "SyncPrefectClient", expected: tuple[Deployment, ...]) -> None:
    """Delete schedules that the file does not have: beside them, Prefect makes all anew, and switches them on."""
    for one in expected:
        with suppress(ObjectNotFound):
            found = client.read_deployment_by_name(one.name)
            slugs = {schedule.slug for schedule in one.schedules}
            for schedule in found.schedules:
                if schedule.slug not in slugs:
                    client.delete_deployment_schedule(found.id, schedule.id)


def _apply_file(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise Unavailable(f"`prefect deploy` failed; its log is {log}")


def _pause_again(client: "SyncPrefectClient", expected: tuple[Deployment, ...]) -> None:
    """Switch off again what an operator had: Prefect resumes what it updates, and makes automations anew."""
    for one in expected:
        if one.is_paused:
            client.pause_deployment(client.read_deployment_by_name(one.name).id)
        off = {trigger.name for trigger in one.triggers if not trigger.is_enabled}
        for automation in _read_automations(client, client.read_deployment_by_name(one.name)) if off else ():
            if automation.name in off:
                client.pause_automation(automation.id)


def _tell(differences: tuple[Difference, ...]) -> str:
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    return "; ".join(map(str, differences[:_SHOWN])) + more


def build_report(receipt: DeployReceipt) -> Report:
    """Build the report of a deploy: every deployment with its schedule, and what was not so before."""
    rows = tuple(
        (one.name, "paused by hand" if one.is_paused else show_value(one.schedules), one.limit)
        for one in receipt.deployments
    )
    grids = [Grid(("deployment", "schedule", "at a time"), rows)]
    if receipt.corrected:
        changed = tuple((one.deployment, one.what, one.found, one.expected) for one in receipt.corrected)
        grids.append(Grid(("deployment", "what", "was", "is now"), changed, title="put right"))
    return Report(
        f"{len(rows)} deployments at {receipt.api}", {"work pool": POOL}, tuple(grids), tuple(_build_notes(receipt))
    )


def _is_off(one: Deployment) -> bool:
    return one.is_paused or not all([it.is_active for it in one.schedules] + [it.is_enabled for it in one.triggers])


def _build_notes(receipt: DeployReceipt) -> Iterator[str]:
    off = [one.name for one in receipt.deployments if _is_off(one)]
    if off:
        yield f"switched off by hand, and left so: {', '.join(off)}"
    if receipt.is_pool_paused:
        yield f"the work pool {POOL} is paused: nothing runs until it is resumed in Prefect's UI"
    if receipt.outdated and receipt.is_outdated_removed:
        yield f"removed, no longer in prefect.yaml: {', '.join(receipt.outdated)}"
    elif receipt.outdated:
        yield (
            f"no longer in prefect.yaml, and left: {', '.join(receipt.outdated)}. "
            "Remove them with `scorelake deploy --remove-outdated`"
        )
