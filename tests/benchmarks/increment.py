"""What 10,000 new comments cost in a small lake and in a large one: `python -m tests.benchmarks.increment`.

Needs SCORELAKE_TEST_DATA, for the model. Both lakes hold a year of comments of the same channels, all of them scored.
Each new batch is measured in both, in turn, in a process of its own as a scheduled run has: the whole process, and in
it the scoring with the scores in force refreshed. The published file is measured apart.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.retrieval import apply_definitions
from flows.report import Grid, Report, print_report
from flows.stage import prepare_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.published import publish_file
from scoring.score import ScoreOptions, score_owed
from tests.benchmarks.materialize import CHANNELS, DAYS, START, Batch, _append, fill_apart
from tests.benchmarks.scoring_lake import build_lake
from training.promotions import Promotion, append_promotion

ROWS, BATCHES = 10_000, 5
END = START + timedelta(days=DAYS + 1)


def give_model(lake: Lake, model_home: Path) -> None:
    """Give a lake the sentiment model of another one."""
    prepare_lake(lake)
    apply_definitions(lake)
    shutil.copytree(model_home / "mlflow", lake.home / "mlflow")
    promotion = Promotion(START, "sentiment", "1", "promoted", None, "1", ("for the benchmark",), "benchmark")
    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, lambda open_: append_promotion(open_, promotion))


def score_once(home: Path) -> dict[str, float]:
    """Score what is owed, and publish the file; seconds of both."""
    lake, started = Lake(home), time.perf_counter()
    options, run_id = ScoreOptions(engine=LocalEngine(2)), f"score-sentiment-{time.time_ns()}"
    receipt = score_owed(lake, ScoreRequest("sentiment"), run_id=run_id, now=datetime.now(UTC), options=options)
    scored = time.perf_counter()
    publish_file(lake, run_id=run_id)
    published = time.perf_counter() - scored
    return {"rows": receipt.rows_scored, "scoring": scored - started, "file": published, **receipt.seconds}


def add_batch(home: Path, number: int) -> None:
    """Bring 10,000 comments more into a lake, an hour of them, and materialize them."""
    lake, since = Lake(home, memory_limit="8GB"), END + timedelta(hours=number)
    batch = Batch(f"increment{number}", since, timedelta(hours=1), ROWS, CHANNELS, f"hash({number}, i)")
    _append(lake, batch)
    materialize_features(lake, run_id=f"increment{number}", now=since + timedelta(hours=1))


def run_apart(home: Path) -> dict[str, float]:
    """Score in a process of its own; its whole time beside what it tells, without that of the published file."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.increment", "--once", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return {**told, "process": time.perf_counter() - started - told["file"]}


def build_report(sizes: dict[Path, int], took: dict[Path, list[dict[str, float]]]) -> Report:
    """A row per lake, and how many times as much a batch costs in the large one."""
    medians = {
        home: {what: statistics.median(one[what] for one in runs) for what in runs[0]} for home, runs in took.items()
    }
    columns = ("comments", "whole process s", "scoring s", "plan", "workers", "publish", "published file s")
    rows = tuple(
        (f"{sizes[home]:,}", *(one[what] for what in ("process", "scoring", "plan", "score", "publish", "file")))
        for home, one in medians.items()
    )
    small, large = medians.values()
    notes = (f"a batch costs {large['process'] / small['process']:.2f} times as much in the large lake",)
    return Report(f"{ROWS:,} comments more", grids=(Grid(columns, rows),), notes=notes)


def main() -> None:
    """Build the lakes, score them, then measure batch after batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 10_000_000), help="comments, small and large")
    parser.add_argument("--homes", type=Path, nargs=2, help="lakes that `materialize --fill` has made, instead")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        sys.stdout.write(json.dumps(score_once(arguments.once)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        homes = arguments.homes or [Path(scratch) / str(rows) for rows in arguments.rows]
        for home, rows in zip(homes, arguments.rows, strict=True):
            if not arguments.homes:
                fill_apart(rows, CHANNELS, home)
        model = build_lake(Path(scratch) / "model", 1_000).home
        for home in homes:
            give_model(Lake(home), model)
            Console().print(f"{home.name}: first scoring {run_apart(home)}")
        took: dict[Path, list[dict[str, float]]] = {home: [] for home in homes}
        for number in range(BATCHES):
            for home in homes:
                add_batch(home, number)
                took[home].append(run_apart(home))
        print_report(build_report(_count(homes), took), Console())


def _count(homes: list[Path]) -> dict[Path, int]:
    found = {}
    for home in homes:
        with read_lake(Lake(home)) as connection:
            found[home] = int(connection.execute("select count(*) from raw.comments").fetchall()[0][0])
    return found


if __name__ == "__main__":
    main()
