"""Training-set retrieval, our store beside Feast's own DuckDB store: `python -m tests.benchmarks.retrieval`.

Comments are looked up among 500 hourly snapshots of each of 200 channels, identical for both sides, without a ttl and
(Feast) with the smallest one that loses no value: what it then need not join is what Feast is fastest at. Every
measurement is a process of its own, which first reads the spine and retrieves one row ("first row": what is imported
and loaded once); timed is from asking to the Arrow table. The sides take turns; of several runs the median counts.
The results must be equal. A side that takes too long or too much memory is stopped. Prints Markdown.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.benchmarks.retrieval_sides import Bench, read_tightest_ttl, read_true_sums, write_data

ROOT = Path(__file__).parents[2]
UNBOUNDED = timedelta(0)
MOST_SECONDS = 600
MOST_GB = 10
NUMBERS = ("seconds", "cpu_seconds", "peak_mb", "first_seconds")
OURS = "scorelake"


@dataclass(frozen=True)
class Measured:
    """What one retrieval took, or by which bound it was stopped."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    first_seconds: float
    stopped: str = ""


def run(bench: Bench, side: str, rows: int, ttl: timedelta = UNBOUNDED) -> dict[str, Any]:
    """One side in a process of its own: its receipt, or `stopped` and what it had taken by then."""
    arguments = [str(bench.folder), side, str(rows), str(ttl // timedelta(microseconds=1))]
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.retrieval_sides", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        stopped = _watch(process)
        output = process.communicate()[0]
    if stopped:
        return stopped
    if process.returncode:
        raise SystemExit(f"{side} failed for {rows} rows, see above")
    return dict(json.loads(output))


def _watch(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Wait for the end of a process, which is brought about if it exceeds a bound."""
    started, watched = time.monotonic(), psutil.Process(process.pid)
    while process.poll() is None:
        seconds, peak_mb = time.monotonic() - started, _read_memory(watched)
        if seconds > MOST_SECONDS or peak_mb > MOST_GB * 1024:
            process.kill()
            bound = f"{MOST_GB} GB" if peak_mb > MOST_GB * 1024 else f"{MOST_SECONDS} s"
            return {"seconds": seconds, "cpu_seconds": 0, "peak_mb": peak_mb, "first_seconds": 0, "stopped": bound}
        time.sleep(0.05)
    return {}


def _read_memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def compare(bench: Bench, rows: int, *, repeats: int) -> dict[str, Measured]:
    """Both sides for some rows, in turn; each result of Feast's is compared with ours."""
    tightest = read_tightest_ttl(bench, rows)
    found: dict[str, list[Measured]] = {OURS: [], f"Feast, ttl {tightest}": [], "Feast, no ttl": []}
    for repeat in range(repeats):
        for name, side, ttl in zip(found, ("ours", "feast", "feast"), (UNBOUNDED, tightest, UNBOUNDED), strict=True):
            if repeat and name == "Feast, no ttl":
                continue  # minutes, and far from the others
            found[name].append(Measured(**run(bench, side, rows, ttl)))
            if side == "feast" and not found[name][-1].stopped:
                assert_equal(bench, rows)
    return {name: find_median(measured) for name, measured in found.items()}


def find_median(measured: Sequence[Measured]) -> Measured:
    """The median of each number; the first that was stopped, if any was."""
    if stopped := [one for one in measured if one.stopped]:
        return stopped[0]
    return Measured(*(statistics.median(getattr(one, name) for one in measured) for name in NUMBERS))


def assert_equal(bench: Bench, rows: int) -> None:
    ours, theirs = (pq.read_table(bench.folder / f"result-{side}.parquet") for side in ("ours", "feast"))
    assert ours.column_names == theirs.column_names
    assert ours.num_rows == theirs.num_rows == rows
    different = [name for name in ours.column_names if ours[name].combine_chunks() != theirs[name].combine_chunks()]
    assert not different, f"the sides found different values of {different}"


def measure_stream(bench: Bench, rows: int, *, repeats: int) -> Measured:
    """Our store for a spine in the lake, batch by batch; the sums of all features must be the true ones."""
    found, expected = [], read_true_sums(bench, rows)
    for _ in range(repeats):
        receipt = run(bench, "stream", rows)
        assert receipt["rows"] == rows
        for name, total in receipt["sums"].items():
            assert abs(total - expected[name]) <= 1e-9 * expected[name], f"{name}: {total}, true is {expected[name]}"
        found.append(Measured(**{name: receipt[name] for name in NUMBERS}))
    return find_median(found)


def show(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    sys.stdout.write("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n")
    sys.stdout.flush()


def _describe(name: str, rows: int, measured: Measured, ours: Measured) -> list[str]:
    ratio, peak = f"{measured.seconds / ours.seconds:.1f}", f"{measured.peak_mb:,.0f}"
    if measured.stopped:
        return [name, "", f"did not finish: stopped at {measured.stopped}", "", "", peak, f"> {ratio}"]
    seconds = (measured.first_seconds, measured.seconds, measured.seconds / rows * 1e6, measured.cpu_seconds)
    return [name, *(f"{number:.2f}" for number in seconds), peak, ratio]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--large", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("feast", "duckdb", "ibis-framework"))
    sys.stdout.write(f"{os.cpu_count()} cores, {platform.machine()}, {versions}; load {os.getloadavg()}\n\n")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        write_data(bench, sorted({*arguments.rows, *arguments.large}))
        for rows in arguments.rows:
            found = compare(bench, rows, repeats=arguments.repeats)
            columns = (
                f"{rows:,} comments",
                "first row",
                "seconds",
                "µs per row",
                "CPU seconds",
                "peak MB",
                "times ours",
            )
            show(columns, [_describe(name, rows, one, found[OURS]) for name, one in found.items()])
        streams = {rows: measure_stream(bench, rows, repeats=arguments.repeats) for rows in arguments.large}
        first = streams[arguments.large[0]]
        columns = (
            "scorelake, streamed",
            "first row",
            "seconds",
            "µs per row",
            "CPU seconds",
            "peak MB",
            "times the first",
        )
        show(columns, [_describe(f"{rows:,} comments", rows, one, first) for rows, one in streams.items()])
    sys.stdout.write(f"load {os.getloadavg()}\n")


if __name__ == "__main__":
    main()
