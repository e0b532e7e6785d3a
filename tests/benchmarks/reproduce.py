"""A version rebuilt after 100,000 later rows, corrections and a compaction: `python -m tests.benchmarks.reproduce`.

The demo trains version 1 of each model. Then its lake is given later and late comments and corrections of everything
it knew, all its files are merged and its snapshots given up, and it is moved to another folder. `scorelake reproduce`
is started there as an operator would.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

from rich.console import Console

from feature_repo.lake import Lake
from flows.report import Grid, Report, print_report
from tests.training.later_rows import add_later_rows, count_rows, keep_up, move

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def run_command(home: Path, *options: str) -> int:
    """Run a command of scorelake on a lake, its output shown; returns its exit code."""
    environment = os.environ | {"SCORELAKE_HOME": str(home), "COLUMNS": "140"}
    return subprocess.run([sys.executable, "-m", "flows.cli", *options], env=environment, check=False).returncode


def main() -> None:
    """Walk the road and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comments", type=int, default=8_000)
    parser.add_argument("--later", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lake = Lake(Path(scratch) / "home")
        run_command(lake.home, "demo", "--comments", str(arguments.comments))
        before = count_rows(lake)
        started = perf_counter()
        add_later_rows(lake, arguments.later, NOW)
        seconds = perf_counter() - started
        after = count_rows(lake)
        snapshots = keep_up(lake, datetime.now(UTC) + timedelta(days=1))
        moved = move(lake, Path(scratch) / "elsewhere" / "home")
        codes = {model: run_command(moved.home, "reproduce", model, "1") for model in ("sentiment", "spam")}
    grid = Grid(("table", "rows when trained", "rows now"), tuple((name, before[name], after[name]) for name in before))
    facts = {
        "seconds to ingest and compute features": seconds,
        "snapshots given up": snapshots,
        **{f"exit code of reproduce {model} 1": code for model, code in codes.items()},
    }
    print_report(Report("what happened before", facts, (grid,)), Console())
    sys.exit(max(codes.values()))


if __name__ == "__main__":
    main()
