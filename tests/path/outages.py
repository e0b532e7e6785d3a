"""Outages on purpose: worker, server, flow runs, or all processes at once die by SIGKILL while `scorelake up` works.

`python -m tests.path.outages HOME --rounds 10` works on a lake with trained models, say a copy of the demo's. In each
round comments come into the inbox and are ingested, materialized and scored by their deployments; at an instant that
the seed chooses something is killed. After a power cut, which kills everything, `up` is started again. Then the
deployments run once more, as their schedules would make them, and all is looked at.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from feature_repo.lake import Lake, read_lake
from flows.processes import list_flow_runs
from tests.flows.operator_terminal import Operator, open_terminal, read_end
from tests.flows.prefect_calls import call, wait_for
from tests.path.fault_checks import CHECKS

ROAD = ("ingest/hourly", "materialize/hourly", "score/spam-hourly", "score/sentiment-hourly")
VICTIMS = ("prefect-worker", "prefect-server", "flow run", "everything")
ROWS = 40
BEGUN = ["RUNNING", "PENDING", "CANCELLING"]
_UP_AGAIN_SECONDS = 120


def main() -> None:
    """Begin, break and look, round by round; prints JSON, and exits with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=VICTIMS, help="killed in turn")
    arguments = parser.parse_args()
    chance, killed, wrong = random.Random(arguments.seed), Counter[str](), list[str]()  # noqa: S311 - a seeded trial
    with tempfile.TemporaryDirectory() as folder, open_terminal(arguments.home.absolute(), Path(folder)) as operator:
        operator.start()
        for number in range(arguments.rounds):
            victim = arguments.victims[number % len(arguments.victims)]
            found = list(live_through(operator, victim, number, chance))
            killed[victim] += 1
            wrong += [f"round {number} ({victim}): {one}" for one in found]
            sys.stderr.write(f"round {number}, {victim}: {found or 'well'}\n")
    sys.stdout.write(json.dumps({"killed": killed, "wrong": wrong}, indent=2) + "\n")
    sys.exit(bool(wrong))


def live_through(operator: Operator, victim: str, number: int, chance: random.Random) -> Iterator[str]:
    """One round; what is wrong after it."""
    api = f"{operator.read_receipt()['prefect']}/api"
    bring_comments(operator.home, number)
    for name in ROAD:
        submit(api, name)
    time.sleep(chance.uniform(2, 25))
    kill(operator, victim)
    if victim == "everything":
        operator.start()
        api = f"{operator.read_receipt()['prefect']}/api"
    else:
        wait_for("the server", lambda: call(f"{api}/health"), _UP_AGAIN_SECONDS)
    yield from finish(api)
    yield from look(operator, api, number)


def bring_comments(home: Path, number: int) -> None:
    """A file in the inbox, whole at once."""
    inbox = home / "inbox" / "comments"
    inbox.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat()
    rows = [f"outage-{number}-{row},look at number {row} of {number}!,{at},{at}" for row in range(ROWS)]
    draft = home / "inbox" / f"round-{number}.csv"
    draft.write_text("\n".join(["comment_id,text,published_at,observed_at", *rows]))
    draft.rename(inbox / draft.name)


def submit(api: str, name: str) -> str:
    """Start a deployment's run; returns its id."""
    deployment = call(f"{api}/deployments/name/{name}")["id"]
    run: str = call(f"{api}/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    return run


def kill(operator: Operator, victim: str) -> None:
    """SIGKILL what was chosen; of flow runs, all that have a process."""
    if victim == "everything":
        up = psutil.Process(operator.processes[-1].pid)
        family = [up, *up.children(recursive=True)]
    elif victim == "flow run":
        family = [one for one in psutil.process_iter() if is_flow_run(one)]
    else:
        server = psutil.Process(operator.read_pids()[victim])
        family = [server, *(server.children(recursive=True) if victim == "prefect-server" else ())]
    for process in family:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    if victim == "everything":
        operator.processes[-1].wait()


def is_flow_run(process: psutil.Process) -> bool:
    """Whether a process belongs to a flow run."""
    with suppress(psutil.Error, OSError):
        return "PREFECT__FLOW_RUN_ID" in process.environ() and process.pid != os.getpid()
    return False


def finish(api: str) -> Iterator[str]:
    """Run the road once more, one after the other."""
    for name in ROAD:
        run = submit(api, name)
        ended = wait_for(f"the end of {name}", lambda run=run: read_end(api, run))  # type: ignore[misc]
        if ended["state"]["type"] != "COMPLETED":
            yield f"{name} ended as {ended['state']['type']}: {ended['state']['message']}"


def look(operator: Operator, api: str, number: int) -> Iterator[str]:
    """What is wrong with the lake, with Prefect's runs, and with the deployments."""
    with read_lake(Lake(operator.home)) as connection:
        sql = "select count(*) from raw.comments where comment_id like 'outage-%'"
        came = connection.execute(sql).fetchall()[0][0]
        if came != (number + 1) * ROWS:
            yield f"{came} comments came, expected {(number + 1) * ROWS}"
        for what, count in CHECKS.items():
            if "{expected}" not in count and (found := connection.execute(count).fetchall()[0][0]):
                yield f"{found} {what}"
    begun = {"flow_runs": {"state": {"type": {"any_": BEGUN}}}}
    alive = list_flow_runs()
    for run in call(f"{api}/flow_runs/filter", begun):
        if run["id"] not in alive:
            yield f"{run['name']} is {run['state']['type']} without a process"
    checked = operator.run("deploy", "--check", "--json")
    if checked.returncode:
        yield f"deployments: {checked.stderr}"


if __name__ == "__main__":
    main()
