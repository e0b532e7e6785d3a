"""Deployments as values: what prefect.yaml says, and how what a server has differs from it.

No server is asked here; `deploy` does that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import yaml

from feature_repo.errors import BadData

POOL: Final = "scorelake"
FILE_TAG: Final = "scorelake"  # every deployment of the file bears it, and so does one that an earlier file made


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a deployment runs: a cron expression in a time zone."""

    slug: str
    cron: str
    timezone: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a deployment beside its schedules: an event of a resource. In Prefect it is an automation."""

    name: str
    event: str
    resource: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment; `name` is that of its flow and its own, as Prefect writes it: score/spam-hourly."""

    name: str
    schedules: tuple[Schedule, ...]
    limit: int | None
    collision: str | None
    tags: tuple[str, ...]
    work_pool: str | None
    description: str
    version: str
    is_paused: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a server has otherwise than it was told."""

    deployment: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.deployment}: {self.what} should be {self.expected}, found {self.found}"


def read_file(path: Path) -> tuple[Deployment, ...]:
    """Read the deployments of a prefect.yaml; raises `BadData` if there is none or one lacks what all have."""
    if not path.exists():
        raise BadData(
            f"no prefect.yaml at {path}: it lies beside the packages in a checkout of scorelake; run it there"
        )
    try:
        return tuple(_read_entry(entry) for entry in yaml.safe_load(path.read_text())["deployments"])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise BadData(f"{path} is not as expected: {error!r}") from error


def _read_entry(entry: Mapping[str, Any]) -> Deployment:
    flow = entry["entrypoint"].rpartition(":")[2]
    return Deployment(
        name=f"{flow}/{entry['name']}",
        schedules=tuple(
            Schedule(one["slug"], one["cron"], one["timezone"], one.get("active", True)) for one in entry["schedules"]
        ),
        limit=entry["concurrency_limit"]["limit"],
        collision=entry["concurrency_limit"]["collision_strategy"],
        tags=tuple(sorted(entry["tags"])),
        work_pool=entry["work_pool"]["name"],
        description=entry["description"],
        version=str(entry["version"]),
        parameters=entry.get("parameters") or {},
        job_variables=entry["work_pool"].get("job_variables") or {},
        triggers=tuple(_read_trigger(one) for one in entry.get("triggers", ())),
    )


def _read_trigger(declared: Mapping[str, Any]) -> Trigger:
    (event,) = declared["expect"]
    return Trigger(declared["name"], event, declared["match"]["prefect.resource.id"])


def name_retraining(model: str) -> str:
    """The automation that starts a model's training when its watch asks for it, by name."""
    return f"retrain-{model}"


def keep_switches(declared: Deployment, found: Deployment | None) -> Deployment:
    """The declared deployment with what an operator has switched off: a redeploy leaves that as it is."""
    if found is None:
        return declared
    is_active = {schedule.slug: schedule.is_active for schedule in found.schedules}
    schedules = tuple(replace(one, is_active=is_active.get(one.slug, one.is_active)) for one in declared.schedules)
    is_enabled = {trigger.name: trigger.is_enabled for trigger in found.triggers}
    triggers = tuple(replace(one, is_enabled=is_enabled.get(one.name, one.is_enabled)) for one in declared.triggers)
    return replace(declared, schedules=schedules, triggers=triggers, is_paused=found.is_paused)


def compare(expected: Sequence[Deployment], found: Mapping[str, Deployment]) -> tuple[Difference, ...]:
    """Compare what a server should have with what it has; other deployments of the server do not matter."""
    return tuple(difference for one in expected for difference in _compare_one(one, found.get(one.name)))


def _compare_one(expected: Deployment, found: Deployment | None) -> Iterator[Difference]:
    if found is None:
        yield Difference(expected.name, "it", "there", "nothing")
        return
    for name in (one.name for one in fields(expected)):
        ours, theirs = getattr(expected, name), getattr(found, name)
        if ours != theirs:
            yield Difference(expected.name, name, *map(show_value, (ours, theirs)))


def show_value(value: object) -> str:
    """Show what starts a deployment as a person writes it, and anything else as it is."""
    if isinstance(value, tuple) and all(isinstance(one, Schedule | Trigger) for one in value):
        return ", ".join(map(_show_start, value)) or "none"
    return repr(value)


def _show_start(one: Schedule | Trigger) -> str:
    if isinstance(one, Trigger):
        return f"{one.event} of {one.resource}" + " (off)" * (not one.is_enabled)
    return f"{one.cron} {one.timezone}" + " (off)" * (not one.is_active)
