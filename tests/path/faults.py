"""Faults on purpose: runs are killed, doubled, starved of disk and locked out, and then looked at for what they broke.

`python -m tests.path.faults HOME --kill 20` works on a lake with a trained spam model, say a copy of the demo's, and
prints what it found as JSON. Each cycle ingests comments, materializes, scores, publishes and now and then maintains; a
fault hits one of these at an instant chosen by the seed. Then that step and the later ones are run to their end, and
all is counted.

The steps are in `fault_steps`, what is looked at afterwards in `fault_checks`.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from feature_repo.lake import Lake, write_lake
from tests.path.fault_checks import ask, end_readers, start_readers
from tests.path.fault_steps import STEPS, fork, score


@dataclass
class Findings:
    """What was done, and what was found wrong."""

    faults: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """A lake under faults: `durations` holds how long each step last took, so that a fault hits while it runs."""

    lake: Lake
    chance: random.Random
    findings: Findings = field(default_factory=Findings)
    durations: dict[str, float] = field(default_factory=dict)

    def run(self, step: str, cycle: int) -> None:
        """Run a step to its end; what it raises is wrong."""
        started = time.perf_counter()
        child = fork(lambda: STEPS[step](self.lake, cycle))
        _, status = os.waitpid(child, 0)
        self.durations[step] = time.perf_counter() - started
        if status:
            self.findings.wrong.append(f"cycle {cycle}: {step} ended with status {status}")

    def cycle(self, number: int, fault: str) -> None:
        """One cycle with a fault in one of its steps, then that and all later steps to their end, then the count."""
        steps = list(STEPS) if number % 2 else [step for step in STEPS if step != "maintain"]
        victim = self.chance.choice(["score"] if fault in {"worker", "double"} else steps)
        for step in steps:
            if step == victim:
                self.findings.faults[f"{fault} during {step}"] += 1
                self.findings.hits[fault] += FAULTS[fault](self, step, number)
                break
            self.run(step, number)
        for step in steps[steps.index(victim) :]:
            self.run(step, number)
        self.findings.wrong += [f"cycle {number} ({fault} during {victim}): {one}" for one in ask(self.lake, number)]


def kill_driver(trial: Trial, step: str, cycle: int) -> int:
    """SIGKILL at a random instant; returns 1 if it hit."""
    child = fork(lambda: STEPS[step](trial.lake, cycle))
    time.sleep(trial.chance.uniform(0, trial.durations.get(step, 1.0)))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return int(os.WIFSIGNALED(status))


def kill_worker(trial: Trial, _step: str, cycle: int) -> int:
    """SIGKILL one of the processes that score; its driver says so and leaves what is finished."""
    child = fork(lambda: score(trial.lake, cycle, workers=2))
    found = wait_for_workers(child)
    time.sleep(trial.chance.uniform(0, 2))
    for worker in found[:1]:
        if worker.is_running():
            worker.kill()
    _, status = os.waitpid(child, 0)
    if status and os.waitstatus_to_exitcode(status) != 4:
        trial.findings.wrong.append(f"cycle {cycle}: a dead worker ended the run with {status}")
    return int(status != 0)


def wait_for_workers(child: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            found = psutil.Process(child).children()
        except psutil.NoSuchProcess:
            return []
        workers = [one for one in found if "spawn_main" in " ".join(one.cmdline())]
        if workers:
            return workers
        time.sleep(0.05)
    return []


def start_twice(trial: Trial, _step: str, cycle: int) -> int:
    """Two runs of the same work at once: each ends well, or says that the other is at it."""
    children = [fork(lambda: score(trial.lake, cycle)) for _ in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if not set(codes) <= {0, 4} or 0 not in codes:
        trial.findings.wrong.append(f"cycle {cycle}: two at once ended with {codes}")
    return 1


def leave_lock(trial: Trial, step: str, cycle: int) -> int:
    """The holder of the writer lock dies while it writes; the next one goes on."""

    def hold() -> None:
        with write_lake(trial.lake, purpose="to die"):
            time.sleep(60)

    child = fork(hold)
    while not trial.lake.catalog.locate_lock("writer").with_suffix(".holder.json").exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def lock_catalog(trial: Trial, step: str, cycle: int) -> int:
    """Somebody else holds the catalog, for longer or shorter than a writer waits for it."""
    seconds = trial.chance.choice([1.0, 3.0, 12.0])

    def hold() -> None:
        with closing(sqlite3.connect(trial.lake.catalog.file, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            time.sleep(seconds)
            connection.execute("rollback")

    holder, child = fork(hold), fork(lambda: STEPS[step](trial.lake, cycle))
    for process in (holder, child):
        os.waitpid(process, 0)
    return 1


def fill_disk(trial: Trial, step: str, cycle: int) -> int:
    """The disk has a random, small rest while the step runs; needs a lake on a disk of its own."""
    filler = trial.lake.home / "filler"
    free = os.statvfs(trial.lake.home)
    rest = trial.chance.randrange(0, 400_000)
    with filler.open("wb") as target:
        os.posix_fallocate(target.fileno(), 0, max(1, free.f_bavail * free.f_frsize - rest))
    child = fork(lambda: STEPS[step](trial.lake, cycle))
    _, status = os.waitpid(child, 0)
    filler.unlink()
    return int(status != 0)


FAULTS: dict[str, Callable[[Trial, str, int], int]] = {
    "kill": kill_driver,
    "worker": kill_worker,
    "double": start_twice,
    "lock": leave_lock,
    "busy": lock_catalog,
    "disk": fill_disk,
}


def main() -> None:
    """Run the cycles and print what was found; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--readers", type=int, default=0, help="processes that query all the time")
    for fault in FAULTS:
        parser.add_argument(f"--{fault}", type=int, default=0, help=f"cycles with the fault {fault}")
    arguments = parser.parse_args()
    if not (arguments.home / "mlflow").exists():
        parser.error(f"no lake with a trained model at {arguments.home}; copy the one that `make demo` leaves")
    trial = Trial(Lake(arguments.home.absolute()), random.Random(arguments.seed))  # noqa: S311 - a seeded trial
    faults = [fault for fault in FAULTS for _ in range(getattr(arguments, fault))]
    trial.chance.shuffle(faults)
    trial.run("materialize", 0)
    os.waitpid(fork(lambda: score(trial.lake, 0, partition_rows=5_000)), 0)  # what the lake owes from before
    readers = start_readers(trial.lake, arguments.readers)
    for number, fault in enumerate(faults):
        trial.cycle(number, fault)
    read, found = end_readers(trial.lake, readers), trial.findings
    wrong = [*found.wrong, *read["errors"]]
    told = {"faults": found.faults, "hits": found.hits, "readers": read, "wrong": wrong}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    sys.exit(bool(wrong or read["runs seen in part"]))


if __name__ == "__main__":
    main()
