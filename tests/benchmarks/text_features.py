"""What text features and token ids cost on real comments: `python -m tests.benchmarks.text_features [--rows N]`.

Needs SCORELAKE_TEST_DATA. The texts are replicated to the wanted number; every statement runs over all of them in a
process of its own, on the same number of threads, into a Parquet file as materialization writes it, and the least of
three times counts. Beside the features stand a bare scan of the same texts with lower() and a split by a regular
expression, the tokens without a hash, and the tokens hashed by DuckDB's own hash(), which changes from version to
version.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import duckdb
from rich.console import Console

from feature_repo.features.statements import read_statement
from feature_repo.ledger import read_peak_memory_mib
from flows.report import Grid, Report, print_report

REPEATS = 3
_TEXT = read_statement("text")
_PATTERN = _TEXT[_TEXT.index("regexp_extract_all(") : _TEXT.index(") as tokens")] + ")"
_HASH_ENDS = _TEXT.index(") as all_hashes")
_HASH = _TEXT[_TEXT.rindex("list_transform(", 0, _HASH_ENDS) : _HASH_ENDS] + ")"
_TOKENS = f"select {_PATTERN} as tokens from texts"
STATEMENTS = {
    "bare scan: lower(), split": r"select string_split_regex(lower(text), '\s+') from texts",
    "tokens": _TOKENS,
    "tokens, DuckDB's hash()": (
        f"select list_transform(tokens, lambda token: (hash(token) & 4294967295)::uinteger) from ({_TOKENS})"
    ),
    "tokens, stable hash": f"select {_HASH} from (select tokens as pieces from ({_TOKENS}))",
    "all text features": _TEXT,
}


def measure(statement: str, file: str) -> tuple[float, float]:
    """Seconds of a statement over the texts of a file, and the process's peak memory in MiB."""
    connection = duckdb.connect()
    connection.execute(f"create view texts as select text from read_parquet('{file}')")
    seconds = []
    for _ in range(REPEATS):
        started = perf_counter()
        connection.execute(f"copy ({statement}) to '{file}.out' (format parquet, compression zstd)")
        seconds.append(perf_counter() - started)
    return min(seconds), read_peak_memory_mib()


def replicate(source: Path, target: Path, rows: int) -> None:
    """Write so many real texts into a Parquet file, each with a number at its end.

    Without it, a file of repeated texts is a small dictionary, of which DuckDB computes each entry once.
    """
    duckdb.execute(
        f"copy (select text || ' ' || copy || row_number() over () as text "
        f"from read_parquet('{source}'), range({rows // 36_000 + 1}) as copies(copy) limit {rows}) "
        f"to '{target}' (format parquet)"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2)
    arguments = parser.parse_args()
    if arguments.one:
        name, file = arguments.one
        sys.stdout.write(json.dumps(measure(STATEMENTS[name], file)))
        return
    source = Path(os.environ["SCORELAKE_TEST_DATA"]) / "throughput" / "youtube_text.parquet"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "texts.parquet"
        replicate(source, file, arguments.rows)
        found = {name: run_apart(name, file) for name in STATEMENTS}
    bare, own = found["bare scan: lower(), split"][0], found["tokens, DuckDB's hash()"][0]
    rows = tuple(
        (name, seconds, int(arguments.rows / seconds), seconds / bare, peak) for name, (seconds, peak) in found.items()
    )
    grid = Grid(("statement", "seconds", "rows/s", "times a bare scan", "peak MiB"), rows)
    ratio = found["tokens, stable hash"][0] / own
    note = f"tokens with the stable hash take {ratio:.2f} times the time of tokens with DuckDB's own"
    print_report(Report(f"{arguments.rows:,} texts, {os.cpu_count()} cores", grids=(grid,), notes=(note,)), Console())


def run_apart(name: str, file: Path) -> tuple[float, float]:
    """Measure one statement in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.text_features", "--one", name, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


if __name__ == "__main__":
    main()
