"""What one more hour costs, in a small lake and in a large one: `python -m tests.benchmarks.materialize`.

Both lakes hold a year of comments of the same channels, and the hour that is added is the same. The large lake is
therefore denser: its windows hold more comments for each channel, which is the harder case.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console

from feature_repo.contracts import TABLES
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_peak_memory_mib
from feature_repo.migration import migrate_tables
from flows.report import Grid, Report, print_report

if TYPE_CHECKING:
    import duckdb

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 365
BATCH_DAYS = 1
CHANNELS = 200
HOURLY_ROWS = 1_000
HOURS = 5

_COMMENTS = """
insert into raw.comments by name
select
    '{batch}-' || i as comment_id,
    md5('{batch}' || i) as text_id,
    'channel' || (i % {channels}) as channel_id,
    null as video_id,
    case when i % 4 = 0 then '{batch}-' || (i - i % 64) end as parent_id,
    'author' || (hash(i) % 50000) as author_id,
    'Comment ' || i || ' about video ' || (i % 977) || ', what a GREAT day! see you at 3:45' as text,
    published_at,
    published_at as observed_at,
    false as is_observed_at_imputed,
    'benchmark' as source,
    '{batch}' as batch_id,
    {number} as ingest_seq
from (
    select i, timestamptz '{since}' + to_microseconds((i * {micros})::bigint) as published_at
    from range({rows}) as numbers(i)
)
"""
_COUNTS = """
insert into raw.comment_counts by name
select comment_id, observed_at, false as is_observed_at_imputed, hash(comment_id) % 20 as like_count,
    null as reply_count, source, batch_id, ingest_seq
from raw.comments where ingest_seq = {number}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of the first materialization, and of each hour after it."""

    rows: int
    first_seconds: float
    hour_seconds: tuple[float, ...]
    peak_mib: float


def measure(rows: int, home: Path) -> Measured:
    """Fill a lake, materialize it, then add some hours one by one."""
    lake = Lake(home, memory_limit="8GB")
    _fill(lake, rows)
    end = START + timedelta(days=DAYS)
    first = _materialize(lake, end, "first")
    seconds = []
    for hour in range(HOURS):
        since = end + timedelta(hours=hour)
        _append(lake, f"hour{hour}", since, timedelta(hours=1), HOURLY_ROWS)
        seconds.append(_materialize(lake, since + timedelta(hours=1), f"h{hour}"))
    return Measured(rows, first, tuple(seconds), read_peak_memory_mib())


def _fill(lake: Lake, rows: int) -> None:
    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, lambda inside: migrate_tables(inside, TABLES))
    batches = DAYS // BATCH_DAYS
    for number in range(batches):
        since = START + timedelta(days=number * BATCH_DAYS)
        _append(lake, f"batch{number}", since, timedelta(days=BATCH_DAYS), rows // batches)


def _append(lake: Lake, batch: str, since: datetime, span: timedelta, rows: int) -> None:
    def work(connection: "duckdb.DuckDBPyConnection") -> None:
        found = connection.execute("select coalesce(max(ingest_seq), 0) + 1 from raw.comments").fetchone()
        number = found[0] if found else 1
        filled = {
            "batch": batch,
            "number": number,
            "since": since.isoformat(),
            "rows": rows,
            "channels": CHANNELS,
            "micros": span / timedelta(microseconds=1) / rows,
        }
        connection.execute(_COMMENTS.format(**filled))
        connection.execute(_COUNTS.format(**filled))
        append_run(connection, Run(batch, "ingest", since, since, data_version=number))

    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, work)


def _materialize(lake: Lake, now: datetime, run_id: str) -> float:
    started = perf_counter()
    materialize_features(lake, run_id=run_id, now=now)
    return perf_counter() - started


def run_apart(rows: int, home: Path) -> Measured:
    """Measure one lake in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.materialize", "--one", str(rows), str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def main() -> None:
    """Measure both lakes and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 10_000_000))
    parser.add_argument("--one", nargs=2)
    arguments = parser.parse_args()
    if arguments.one:
        rows, home = arguments.one
        sys.stdout.write(json.dumps(asdict(measure(int(rows), Path(home)))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = [run_apart(rows, Path(scratch) / str(rows)) for rows in arguments.rows]
    rows = tuple(
        (f"{one.rows:,}", one.first_seconds, statistics.median(one.hour_seconds), max(one.hour_seconds), one.peak_mib)
        for one in found
    )
    grid = Grid(("comments", "first s", "one hour s (median)", "one hour s (worst)", "peak MiB"), rows)
    note = f"one more hour costs {rows[1][2] / rows[0][2]:.2f} times as much in the large lake"
    print_report(Report(f"{HOURLY_ROWS:,} comments more", grids=(grid,), notes=(note,)), Console())


if __name__ == "__main__":
    main()
