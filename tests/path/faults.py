"""Faults on purpose: runs are killed, doubled, starved of disk and locked out, and then looked at for what they broke.

`python -m tests.path.faults HOME --kills 20` works on a lake with a trained spam model, and prints what it found as
JSON. Each cycle ingests comments, materializes, scores, publishes and now and then maintains; a fault hits one of these
at an instant chosen by the seed. Then the same steps are run to their end and everything is counted.

The driver never opens the lake: each step runs in a process forked from it, which has its libraries already.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feast  # noqa: F401 - imported before forking
import mlflow  # noqa: F401 - the same
import psutil
import sklearn.multiclass  # noqa: F401 - the same
import skops.io  # noqa: F401 - the same

from feature_repo.compaction import compact_tables
from feature_repo.contracts import list_expiring
from feature_repo.errors import ScorelakeError
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.upkeep import purge_deleted
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.published import publish_file
from scoring.score import ScoreOptions, score_owed

START = datetime(2026, 10, 1, tzinfo=UTC)
ROWS = 40
Step = Callable[[Lake, int], None]


def ingest(lake: Lake, cycle: int) -> None:
    """Bring in the comments of a cycle; every third of them is an edit of one of the cycle before."""
    file = lake.home / f"cycle-{cycle}.csv"
    at = (START + timedelta(hours=cycle)).isoformat()
    lines = ["comment_id,text,published_at,observed_at"]
    for number in range(ROWS):
        owner = cycle - 1 if number % 3 == 0 and cycle else cycle
        lines.append(f"fault-{owner}-{number},look at number {number} of {cycle}!,{at},{at}")
    file.write_text("\n".join(lines))
    request = IngestRequest(
        kind="comments",
        paths=(file,),
        mapping=read_mapping(),
        source="faults",
        run_id=name("ingest"),
        now=START + timedelta(hours=cycle),
        author_key=b"a key for tests",
    )
    ingest_files(lake, request)


def materialize(lake: Lake, cycle: int) -> None:
    materialize_features(lake, run_id=name("materialize"), now=START + timedelta(hours=cycle))


def score(lake: Lake, cycle: int, *, partition_rows: int = 10, workers: int = 1) -> None:
    options = ScoreOptions(partition_rows, LocalEngine(workers), disk_reserve_mib=0)
    now, run_id = START + timedelta(hours=cycle), name("score-spam")
    score_owed(lake, ScoreRequest("spam"), run_id=run_id, now=now, options=options)


def publish(lake: Lake, _cycle: int) -> None:
    publish_file(lake, run_id=name("publish"))


def maintain(lake: Lake, cycle: int) -> None:
    compact_tables(lake)
    purge_deleted(lake, list_expiring(), before=datetime.now(UTC) - timedelta(seconds=30))


def name(kind: str) -> str:
    return f"{kind}-{time.time_ns()}-{os.getpid()}"


STEPS: dict[str, Step] = {
    "ingest": ingest,
    "materialize": materialize,
    "score": score,
    "publish": publish,
    "maintain": maintain,
}


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
        steps = list(STEPS) if number % 5 == 4 else [step for step in STEPS if step != "maintain"]
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


def fork(work: Callable[[], None]) -> int:
    """Run in a process of its own; an error of ours ends it with its exit code, any other one with 1, told."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setpgid(0, 0)
        work()
        code = 0
    except ScorelakeError as error:
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - nothing may leave the fork
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


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
    while not trial.lake.lock.with_suffix(".holder.json").exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def lock_catalog(trial: Trial, step: str, cycle: int) -> int:
    """Somebody else holds the catalog, for longer or shorter than a writer waits for it."""
    seconds = trial.chance.choice([1.0, 3.0, 12.0])

    def hold() -> None:
        with closing(sqlite3.connect(trial.lake.catalog, isolation_level=None)) as connection:
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


PARTIAL = """
select count(*)
from (select run_id, count(*) as rows from scores.spam group by run_id) as scored
left join ops.runs as runs on scored.run_id = runs.run_id
where runs.rows_out is distinct from scored.rows
"""


def read_on(lake: Lake, number: int) -> None:
    """Query until the trial is over: errors, runs that were seen in part, and seconds of each query."""
    found: dict[str, Any] = {"errors": [], "partial": 0, "seconds": []}
    while not (lake.home / "over").exists():
        started = time.perf_counter()
        try:
            with read_lake(lake) as connection:
                found["partial"] += connection.execute(PARTIAL).fetchall()[0][0]
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is looked for
            found["errors"].append(f"{type(error).__name__}: {error}")
        found["seconds"].append(time.perf_counter() - started)
        time.sleep(1)
    (lake.home / f"reader-{number}.json").write_text(json.dumps(found))


def start_readers(lake: Lake, count: int) -> list[int]:
    return [fork(lambda number=number: read_on(lake, number)) for number in range(count)]  # type: ignore[misc]


def end_readers(lake: Lake, readers: list[int]) -> dict[str, Any]:
    (lake.home / "over").touch()
    for reader in readers:
        os.waitpid(reader, 0)
    found = [json.loads((lake.home / f"reader-{number}.json").read_text()) for number in range(len(readers))]
    seconds = sorted(one for reader in found for one in reader["seconds"]) or [0.0]
    return {
        "queries": len(seconds),
        "errors": [error for reader in found for error in reader["errors"]],
        "runs seen in part": sum(reader["partial"] for reader in found),
        "median seconds": round(seconds[len(seconds) // 2], 3),
        "99 % seconds": round(seconds[int(len(seconds) * 0.99)], 3),
    }


def ask(lake: Lake, cycle: int) -> list[str]:
    """What is wrong with the lake now, counted in a process of its own."""
    file = lake.home / "found.json"

    def look() -> None:
        file.write_text(json.dumps(check(lake, cycle)))

    _, status = os.waitpid(fork(look), 0)
    if status:
        return ["it could not be looked at"]
    found: list[str] = json.loads(file.read_text())
    return found


CHECKS = {
    "comments lost at the door": ("select {expected} - count(*) from raw.comments where source = 'faults'"),
    "comments twice in the lake": ("select count(*) - count(distinct (comment_id, text_id)) from raw.comments"),
    "texts without features": (
        "select count(*) from raw.comments anti join features.comment_features using (comment_id, text_id)"
    ),
    "texts with features twice": (
        "select count(*) - count(distinct (comment_id, text_id, ingest_seq)) from features.comment_features"
    ),
    "comments lost on the way to a score": (
        "select count(*) from raw.comments anti join scores.spam using (comment_id, text_id)"
    ),
    "comments scored twice": (
        "select count(*) - count(distinct (comment_id, text_id, model_version)) from scores.spam"
    ),
    "comments twice in force": "select count(*) - count(distinct comment_id) from scores.spam_current",
    "comments of which another text is in force": (
        "select count(*) from (select comment_id, arg_max(text_id, (observed_at, ingest_seq)) as text_id "
        "from raw.comments group by comment_id) anti join scores.spam_current using (comment_id, text_id)"
    ),
    "leases that nobody gave back": "select count(*) from ops.leases",
}


def check(lake: Lake, cycle: int) -> list[str]:
    """Every count that is not zero, and files that nobody knows."""
    with read_lake(lake) as connection:
        counts: dict[str, Any] = {
            what: connection.execute(sql.format(expected=(cycle + 1) * ROWS)).fetchall()[0][0]
            for what, sql in CHECKS.items()
        }
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'lake'"
        ).fetchall()
        known = {
            path
            for schema, table in tables
            for row in connection.execute(
                "select data_file, delete_file from ducklake_list_files('lake', ?, schema => ?)", [table, schema]
            ).fetchall()
            for path in row
            if path
        }
        names = {Path(path).name for path in known} | {
            Path(path).name for (path,) in connection.execute(_KEPT).fetchall()
        }
    counts["files that nobody knows"] = len({file.name for file in lake.data.rglob("*.parquet")} - names)
    counts["files left in staging"] = len(list(lake.staging.glob("*")))
    return [f"{count} {what}" for what, count in counts.items() if count]


# Files of older snapshots, and those that wait to be deleted.
_KEPT = """
select data.path from (
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_data_file
    union all
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_delete_file
    union all
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
) as data
"""


def main() -> None:
    """Run the cycles and print what was found; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--readers", type=int, default=0, help="processes that query all the time")
    for fault in FAULTS:
        parser.add_argument(f"--{fault}", type=int, default=0, help=f"cycles with the fault {fault}")
    arguments = parser.parse_args()
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
