"""What one more hour costs, in a small lake and in a large one: `python -m tests.benchmarks.materialize`.

Both hold a year of comments, and each hour adds as many to one as to the other. The large lake has the channels of the
small one, so that its windows hold more comments for each channel. With --channels there is a third one, as large and
with other channels: an hour changes more of them.

Each lake is filled and first materialized in a process of its own. The hours are measured in one process, one hour of
each lake in turn, so that all meet the same state of the machine.
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
HOURS = 9
_END = START + timedelta(days=DAYS)

_COMMENTS = """
insert into raw.comments by name
select
    '{batch}-' || i as comment_id,
    md5('{batch}' || i) as text_id,
    'channel' || ({channel} % {channels}) as channel_id,
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
class Batch:
    """Comments at equal distances of time; `channel` is the SQL that says in which channel the i-th is."""

    name: str
    since: datetime
    span: timedelta
    rows: int
    channels: int
    channel: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A lake of so many comments: seconds and peak memory of its first materialization."""

    rows: int
    channels: int
    home: str
    first_seconds: float
    peak_mib: float


def fill(rows: int, channels: int, home: Path) -> Filled:
    """Fill a lake with a year of comments and materialize it."""
    lake = _open(home)
    _fill(lake, rows, channels)
    seconds = _materialize(lake, _END, "first")
    return Filled(rows, channels, str(home), seconds, read_peak_memory_mib())


def measure_hours(lakes: list[Filled]) -> dict[str, list[float]]:
    """Seconds of each hour by home: some hours more, one by one, with comments in channels at random."""
    seconds: dict[str, list[float]] = {filled.home: [] for filled in lakes}
    for hour in range(HOURS):
        since = _END + timedelta(hours=hour)
        for filled in lakes:
            lake = _open(Path(filled.home))
            span = timedelta(hours=1)
            _append(lake, Batch(f"hour{hour}", since, span, HOURLY_ROWS, filled.channels, f"hash({hour}, i)"))
            seconds[filled.home].append(_materialize(lake, since + span, f"h{hour}"))
    return seconds


def _open(home: Path) -> Lake:
    return Lake(home, memory_limit="8GB")


def _fill(lake: Lake, rows: int, channels: int) -> None:
    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, lambda inside: migrate_tables(inside, TABLES))
    batches = DAYS // BATCH_DAYS
    for number in range(batches):
        since = START + timedelta(days=number * BATCH_DAYS)
        _append(lake, Batch(f"batch{number}", since, timedelta(days=BATCH_DAYS), rows // batches, channels, "i"))


def _append(lake: Lake, batch: Batch) -> None:
    def work(connection: "duckdb.DuckDBPyConnection") -> None:
        found = connection.execute("select coalesce(max(ingest_seq), 0) + 1 from raw.comments").fetchone()
        number = found[0] if found else 1
        filled = {
            "batch": batch.name,
            "number": number,
            "since": batch.since.isoformat(),
            "rows": batch.rows,
            "channel": batch.channel,
            "channels": batch.channels,
            "micros": batch.span / timedelta(microseconds=1) / batch.rows,
        }
        connection.execute(_COMMENTS.format(**filled))
        connection.execute(_COUNTS.format(**filled))
        append_run(connection, Run(batch.name, "ingest", batch.since, batch.since, data_version=number))

    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, work)


def _materialize(lake: Lake, now: datetime, run_id: str) -> float:
    started = perf_counter()
    materialize_features(lake, run_id=run_id, now=now)
    return perf_counter() - started


def fill_apart(rows: int, channels: int, home: Path) -> Filled:
    """Fill one lake in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.materialize", "--fill", str(rows), str(channels), str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Filled(**json.loads(done.stdout))


def build_report(lakes: list[Filled], seconds: dict[str, list[float]]) -> Report:
    """A row per lake, and how many times as much as in the first one an hour costs in the others."""
    hours = {filled.home: statistics.median(seconds[filled.home]) for filled in lakes}
    rows = tuple(
        (
            f"{one.rows:,}",
            f"{one.channels:,}",
            one.first_seconds,
            hours[one.home],
            max(seconds[one.home]),
            one.peak_mib,
        )
        for one in lakes
    )
    columns = ("comments", "channels", "first s", "one hour s (median)", "one hour s (worst)", "peak MiB")
    small, *larger = lakes
    notes = tuple(
        f"one more hour costs {hours[one.home] / hours[small.home]:.2f} times as much "
        f"with {one.rows:,} comments in {one.channels:,} channels"
        for one in larger
    )
    return Report(f"{HOURLY_ROWS:,} comments more", grids=(Grid(columns, rows),), notes=notes)


def main() -> None:
    """Fill the lakes, measure their hours and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 10_000_000), help="comments, small and large")
    parser.add_argument("--channels", type=int, help="channels of a third lake; 20,000 are as dense as the small one")
    parser.add_argument("--fill", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        rows, channels, home = arguments.fill
        sys.stdout.write(json.dumps(asdict(fill(int(rows), int(channels), Path(home)))))
        return
    small, large = arguments.rows
    sizes = [(small, CHANNELS), (large, CHANNELS)]
    if arguments.channels:
        sizes.append((large, arguments.channels))
    with tempfile.TemporaryDirectory() as scratch:
        lakes = [fill_apart(*size, Path(scratch) / f"lake{number}") for number, size in enumerate(sizes)]
        print_report(build_report(lakes, measure_hours(lakes)), Console())


if __name__ == "__main__":
    main()
