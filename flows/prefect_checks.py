"""What `doctor` looks at on a Prefect server: runs without a process, slots without a run, and schedules."""

import os
from datetime import timedelta
from typing import Final

import prefect
from prefect.exceptions import ObjectNotFound

from feature_repo.errors import Unavailable
from flows.checkup import Check, Scene, Sight, broken, unknown, well, wrong
from flows.crashed import find_crashed, has_worker, mark_crashed
from flows.deploy import DeploymentsDiffer, check_deployments, deploy
from flows.deployments import POOL
from flows.prefect_api import open_client
from flows.slots import find_stuck, release_stuck
from flows.up_state import UP, read_state

# A worker tells Prefect of a run some seconds before the run's process is there.
_STARTING: Final = timedelta(minutes=1)


def _look_at_server(scene: Scene) -> Sight:
    api = str(scene.api)
    try:
        with open_client(api) as client:
            version = client.api_version()
    except Unavailable as error:
        return wrong(str(error), "Start it, or set PREFECT_API_URL to one that runs")
    if version.split(".")[:2] != prefect.__version__.split(".")[:2]:
        return wrong(
            f"{api} is Prefect {version}, here is {prefect.__version__}", "Install the same release on both sides"
        )
    return well(f"{api} answers, Prefect {version}")


def _look_at_runs(scene: Scene) -> Sight:
    dead = find_crashed(str(scene.api), own_worker=_name_worker(scene), before=scene.now - _STARTING)
    if dead:
        return broken(
            f"{len(dead)} runs have begun and have no process: {', '.join(dead)}",
            "marks them as crashed, which frees their slots",
        )
    return well("every run that has begun has its process, or one on another machine")


def _mark_runs(scene: Scene) -> str:
    dead = mark_crashed(str(scene.api), own_worker=_name_worker(scene), before=scene.now - _STARTING)
    return f"marked as crashed: {', '.join(dead)}"


def _name_worker(scene: Scene) -> str:
    """The worker whose runs have their processes on this machine; none if the server is not that of `up`."""
    state = read_state(scene.lake.home)
    return UP if state is not None and state.api == scene.api else ""


def _look_at_slots(scene: Scene) -> Sight:
    stuck = find_stuck(str(scene.api))
    if stuck:
        named = ", ".join(f"{one.count} of {one.deployment}" for one in stuck)
        return broken(f"slots that no run holds: {named}", "releases them")
    return well("every slot that is taken has its run")


def _release_slots(scene: Scene) -> str:
    return f"released: {', '.join(f'{one.count} of {one.deployment}' for one in release_stuck(str(scene.api)))}"


def _look_at_schedules(scene: Scene) -> Sight:
    try:
        receipt = check_deployments(str(scene.api))
    except DeploymentsDiffer as difference:
        return broken(str(difference), "deploys prefect.yaml; what was switched off stays off")
    except ObjectNotFound:
        return broken(f"there is no work pool {POOL}", "deploys prefect.yaml")
    off = [one.name for one in receipt.deployments if one.is_paused or any(not it.is_active for it in one.schedules)]
    said = f"{len(receipt.deployments)} deployments as prefect.yaml says"
    if receipt.is_pool_paused:
        said += f"; the work pool {POOL} is paused by hand, and nothing runs"
    return well(said + (f"; switched off by hand: {', '.join(off)}" if off else ""))


def _deploy(scene: Scene) -> str:
    os.environ["PREFECT_API_URL"] = str(scene.api)
    receipt = deploy(str(scene.api), scene.lake.home / "logs" / "deploy.log")
    return f"put right: {', '.join(sorted({one.deployment for one in receipt.corrected}))}"


def _look_at_worker(scene: Scene) -> Sight:
    if has_worker(str(scene.api)):
        return well(f"one is online for the work pool {POOL}")
    return wrong(
        f"none is online for the work pool {POOL}",
        f"Start one: `prefect worker start --pool {POOL}`, or everything with `scorelake up`",
    )


def _look_at_limits(scene: Scene) -> Sight:
    """Limits of deployments are compared with prefect.yaml, those of tags hold tasks alone, of which there are none."""
    with open_client(str(scene.api)) as client:
        try:
            pool = client.read_work_pool(POOL)
        except ObjectNotFound:
            return unknown(f"there is no work pool {POOL}", "See schedules")
        queues = client.read_work_queues(work_pool_name=POOL)
    shut = [f"the work pool {POOL} lets 0 runs go at a time"] if pool.concurrency_limit == 0 else []
    shut += [f"its queue {one.name} is paused" for one in queues if one.is_paused]
    shut += [f"its queue {one.name} lets 0 runs go at a time" for one in queues if one.concurrency_limit == 0]
    if shut:
        return wrong("; ".join(shut), "Raise the limit, or resume it, under Work Pools in Prefect's UI")
    limits = [pool.concurrency_limit, *(one.concurrency_limit for one in queues)]
    if least := min((limit for limit in limits if limit is not None), default=None):
        return well(f"at most {least} runs at a time; a backfill or a training may hold up the others for long")
    return well("nothing keeps runs back but their own deployment")


PREFECT_CHECKS: Final = (
    Check("server", "Schedules, runs and their slots are Prefect's; its client and server must fit.", _look_at_server),
    Check("worker", "Without a worker, scheduled runs wait and are late.", _look_at_worker),
    Check(
        "runs",
        "A run whose worker was killed stays Running for ever, and keeps the only slot of its deployment.",
        _look_at_runs,
        _mark_runs,
    ),
    Check(
        "slots",
        "A slot that no run holds any more, after a restart of the server, lets no other run begin.",
        _look_at_slots,
        _release_slots,
    ),
    Check(
        "limits", "Runs that a work pool or a queue lets none through of wait for ever, in silence.", _look_at_limits
    ),
    Check(
        "schedules", "What is not scheduled as prefect.yaml says does not run by itself.", _look_at_schedules, _deploy
    ),
)
