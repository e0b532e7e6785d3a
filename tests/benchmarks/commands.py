"""How fast commands answer that people type often, beside a bare start of the interpreter: `make bench`.

Both sides are measured in the same run, five times, alternating; the median is reported. The design asks for
`--help` under 0.5 s and `sql` under 1.5 s.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from feature_repo.contracts import TABLES
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.migration import migrate_tables
from flows.report import Grid, Report, print_report

ROOT = Path(__file__).parents[2]
REPEATS = 5
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "scorelake --help": ["-m", "flows.cli", "--help"],
    "scorelake sql": ["-m", "flows.cli", "sql", "select count(*) from raw.comments"],
    "scorelake score, nothing owed": ["-m", "flows.cli", "score", "spam"],
}


def measure_seconds(arguments: list[str], home: Path) -> float:
    started = time.perf_counter()
    environment = {**os.environ, "SCORELAKE_HOME": str(home)}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        with write_lake(lake, purpose="benchmark") as connection:
            run_transaction(connection, lambda connection: migrate_tables(connection, TABLES))
        seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(REPEATS):
            for name, arguments in COMMANDS.items():
                seconds[name].append(measure_seconds(arguments, lake.home))
    medians = {name: statistics.median(measured) for name, measured in seconds.items()}
    bare = medians["python -c pass"]
    rows = tuple((name, median, f"{median / bare:.1f} x") for name, median in medians.items())
    print_report(
        Report("Seconds, median of 5", grids=(Grid(("command", "seconds", "beside python"), rows),)), Console()
    )


if __name__ == "__main__":
    main()
