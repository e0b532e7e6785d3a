"""How scoring grows with its workers: `python -m tests.benchmarks.workers`.

Needs SCORELAKE_TEST_DATA. The same owed comments are scored by 1, 2 and 4 workers, of the local engine and of a Dask
cluster on loopback, each time on a copy of the same lake and in a process of its own. More workers than cores show what
they cost, not what they bring. One local worker is no process beside the run, but the run itself. Of several runs the
fastest counts: others on the machine only ever take time away.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from feature_repo.lake import Lake, read_lake
from flows.report import Grid, Report, print_report
from scoring.dask_engine import DaskEngine
from scoring.engine import Engine, LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed

_STAGES = ("plan", "score", "publish")
_CPU = "select cpu_seconds, bytes_written from ops.runs where run_id = ?"


def score_once(home: Path, engine: str, workers: int, partition_rows: int) -> dict[str, float]:
    """Score what is owed; seconds by stage, CPU seconds of the run and its workers, bytes written."""
    chosen: Engine = LocalEngine(workers) if engine == "local" else DaskEngine(workers=workers)
    lake, run_id = Lake(home), f"score-sentiment-{time.time_ns()}"
    options = ScoreOptions(partition_rows, chosen)
    started = time.perf_counter()
    receipt = score_owed(lake, ScoreRequest("sentiment"), run_id=run_id, now=datetime.now(UTC), options=options)
    seconds = time.perf_counter() - started
    with read_lake(lake) as connection:
        [(cpu, written)] = connection.execute(_CPU, [run_id]).fetchall()
    return {"rows": receipt.rows_scored, "all": seconds, "cpu": cpu, "bytes": written, **receipt.seconds}


def run_apart(origin: Path, scratch: Path, engine: str, workers: int, partition_rows: int) -> dict[str, float]:
    """Score a copy of a lake in a process of its own; the machine's load before it, too."""
    home = scratch / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(origin, home, copy_function=_copy)
    load, once = os.getloadavg()[0], [str(home), engine, str(workers), str(partition_rows)]
    command = [sys.executable, "-m", "tests.benchmarks.workers", "--once", *once]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # Dask's processes may have said something, too.
    told: dict[str, float] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return {**told, "load": load}


def _copy(source: str, target: str) -> None:
    """A lake's files are never written to again; everything else is copied."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def build_report(took: dict[tuple[str, int], list[dict[str, float]]]) -> Report:
    """A row for each engine and number of workers: its fastest run, and how many times as fast as one local worker."""
    fastest = {key: min(runs, key=lambda run: run["all"]) for key, runs in took.items()}
    alone = fastest["local", 1]["all"]
    columns = ("engine", "workers", "all s", *_STAGES, "rows/s", "times", "CPU s", "load before")
    rows = tuple(
        (
            engine,
            workers,
            *(f"{one[what]:.1f}" for what in ("all", *_STAGES)),
            f"{one['rows'] / one['all']:,.0f}",
            f"{alone / one['all']:.2f}",
            f"{one['cpu']:.1f}",
            f"{one['load']:.1f}",
        )
        for (engine, workers), one in fastest.items()
    )
    one = fastest["local", 1]
    facts = {
        "comments": f"{one['rows']:,.0f}",
        "cores": os.cpu_count(),
        "runs of each": len(next(iter(took.values()))),
        "bytes written a row": f"{one['bytes'] / one['rows']:.1f}",
    }
    return Report("scoring by workers", facts, (Grid(columns, rows),))


def main() -> None:
    """Build the lake, score its copies, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--partition-rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the lake is kept for another run; made if not there")
    parser.add_argument("--once", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.once:
        home, engine, workers, rows = asked.once
        sys.stdout.write(f"\n{json.dumps(score_once(Path(home), engine, int(workers), int(rows)))}\n")
        return
    with tempfile.TemporaryDirectory(dir=asked.folder and asked.folder.parent) as scratch:
        origin = (asked.folder or Path(scratch) / "lake").absolute()
        if not origin.exists():
            from tests.benchmarks.scoring_lake import build_lake  # noqa: PLC0415 - with Prefect, which talks

            build_lake(origin, asked.rows)
        took: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(asked.repeats):
            for engine in ("local", "dask"):
                for workers in asked.workers:
                    told = run_apart(origin, Path(scratch), engine, workers, asked.partition_rows)
                    took.setdefault((engine, workers), []).append(told)
                    Console(stderr=True).print(engine, workers, told)
        print_report(build_report(took), Console(width=140))


if __name__ == "__main__":
    main()
