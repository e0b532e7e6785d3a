"""What watching a million scored comments takes: `python -m tests.benchmarks.monitoring [--home HOME] [--rows N]`.

Needs SCORELAKE_TEST_DATA. The lake is that of the scoring benchmarks, scored; a home that is given is used as it is,
and made if there is none. Measured is the whole command `scorelake monitor`, with every process that it starts, by
their proportional memory (PSS, which counts what is shared once). Prefect's own server, which is there already where
`scorelake up` runs, is told apart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from rich.console import Console

from feature_repo.lake import Lake, read_lake
from flows.report import Grid, Report, print_report
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from tests.benchmarks.scoring_lake import DAYS, START, build_lake

MODEL = "sentiment"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What a command took: seconds, the greatest memory of all its processes at once, and that without the server."""

    seconds: float
    all_mib: float
    own_mib: float


def build_scored_lake(home: Path, rows: int) -> Lake:
    """Make a lake with so many scored comments."""
    lake, end = build_lake(home, rows), START + timedelta(days=DAYS)
    options = ScoreOptions(engine=LocalEngine(2))
    score_owed(lake, ScoreRequest(MODEL), run_id=f"score-{MODEL}-1", now=end, options=options)
    return lake


def run_measured(home: Path) -> tuple[Taken, dict[str, object]]:
    """Run the command, and look at its processes until it ends."""
    command = [str(Path(sys.executable).with_name("scorelake")), "monitor", MODEL, "--json"]
    environment = {**os.environ, "SCORELAKE_HOME": str(home), "SCORELAKE_HEAL": "false"}
    environment.pop("SCORELAKE_TEST_DATA", None)
    started, all_mib, own_mib = time.perf_counter(), 0.0, 0.0
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, env=environment, stdout=told)
        while process.poll() is None:
            taken = Counter[bool]()
            for is_server, mib in _list_memory(psutil.Process(process.pid)):
                taken[is_server] += round(mib)
            all_mib, own_mib = max(all_mib, sum(taken.values())), max(own_mib, taken[False])
            time.sleep(0.2)
        seconds = time.perf_counter() - started
        told.seek(0)
        if process.returncode:
            raise SystemExit(f"the command ended with {process.returncode}: {told.read()}")
        return Taken(seconds, all_mib, own_mib), json.load(told)


def _list_memory(command: psutil.Process) -> Iterator[tuple[bool, float]]:
    """Of each process, whether it is Prefect's server, and its memory."""
    try:
        processes = [command, *command.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in processes:
        try:
            is_server = any(name in " ".join(one.cmdline()) for name in ("prefect server", "prefect.server"))
            yield is_server, one.memory_full_info().pss / MIB
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (asked.home or Path(scratch) / "home").absolute()
        lake = Lake(home) if (home / "lake").exists() else build_scored_lake(home, asked.rows)
        with read_lake(lake) as connection:
            scored = connection.execute(f"select count(*) from scores.{MODEL}_current").fetchall()[0][0]
        taken, told = run_measured(home)
    facts = {"scored comments": scored, "seconds of comparing and counting": told["seconds"]}
    header = ("seconds, whole command", "MiB at most, all processes", "MiB, without Prefect's server")
    grid = Grid(header, ((taken.seconds, taken.all_mib, taken.own_mib),))
    print_report(Report("Watching", facts, (grid,)), Console())


if __name__ == "__main__":
    main()
