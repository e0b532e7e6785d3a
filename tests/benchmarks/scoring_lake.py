"""The lake of the scoring benchmarks: real texts under new ids and times, and a model trained on the real labels.

Needs SCORELAKE_TEST_DATA. Run as a program, it makes such a lake: `python -m tests.benchmarks.scoring_lake HOME`.
"""

import argparse
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from rich.console import Console

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake
from feature_repo.ledger import read_peak_memory_mib
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.stage import prepare_lake
from training.spec import read_spec
from training.train import train_model

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 60
BATCHES = 20
_COMMENTS = """
copy (
    select
        'Ug' || md5('{prefix}' || number)[:24] as comment_id,
        text,
        'UC' || md5(cast(hash(number) % {channels} as varchar))[:22] as channel_id,
        'author' || (hash(number + 3) % 100000) as author_id,
        hash(number + 5) % 30 as like_count,
        published_at,
        published_at + interval 10 minute as observed_at
    from (
        select
            number,
            timestamptz '{since}' + to_microseconds(cast(number * {micros} as bigint)) as published_at
        from range({rows}) as numbers (number)
    )
    -- many to one: every text is used many times
    join (select text, row_number() over () - 1 as place, count(*) over () as places from read_parquet('{texts}'))
        on number % places = place
) to '{file}'
"""


def read_data() -> Path:
    """Folder of the real data."""
    if "SCORELAKE_TEST_DATA" not in os.environ:
        raise SystemExit("this benchmark needs real comments: set SCORELAKE_TEST_DATA to their folder")
    return Path(os.environ["SCORELAKE_TEST_DATA"])


def write_comments(
    file: Path, rows: int, *, channels: int = 2_000, since: datetime = START, span: timedelta, prefix: str = ""
) -> Path:
    """Write so many comments at equal distances of time, in channels at random."""
    texts = read_data() / "throughput" / "youtube_text.parquet"
    micros = span / timedelta(microseconds=1) / rows
    values = {"rows": rows, "channels": channels, "since": since, "micros": micros, "prefix": prefix}
    with duckdb.connect() as connection:
        connection.execute(_COMMENTS.format(texts=texts, file=file, **values))
    return file


def ingest(lake: Lake, kind: str, file: Path, *, run_id: str, now: datetime, preset: str | None = None) -> None:
    """Bring a file in."""
    request = IngestRequest(
        kind=kind,
        paths=(file,),
        mapping=read_mapping(preset) if preset else read_mapping(),
        source="benchmark",
        run_id=run_id,
        now=now,
        author_key=b"a key for benchmarks",
    )
    ingest_files(lake, request)


def build_lake(home: Path, rows: int) -> Lake:
    """Make a lake with a trained sentiment model and so many comments, materialized and not scored."""
    real = read_data() / "youtube_sentiment"
    lake, end = Lake(home, memory_limit="8GB"), START + timedelta(days=DAYS)
    prepare_lake(lake)
    ingest(lake, "videos", real / "videos-stats.csv", run_id="real-videos", now=START, preset="youtube-statistics")
    ingest(lake, "comments", real / "comments.csv", run_id="real-comments", now=START, preset="youtube-statistics")
    apply_definitions(lake)
    receipt = materialize_features(lake, run_id="materialize-real", now=START)
    train_model(lake, read_spec("sentiment"), run_id="train", now=START, data_version=receipt.owed.upto)
    with tempfile.TemporaryDirectory() as scratch:
        span = timedelta(days=DAYS) / BATCHES
        for batch in range(BATCHES):
            since = START + batch * span
            file = Path(scratch) / f"{batch}.parquet"
            write_comments(file, rows // BATCHES, since=since, span=span, prefix=f"{batch}-")
            ingest(lake, "comments", file, run_id=f"batch-{batch}", now=since + span)
    materialize_features(lake, run_id="materialize", now=end)
    return lake


def main() -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    build_lake(arguments.home.absolute(), arguments.rows)
    Console().print(f"made {arguments.home}, peak memory {read_peak_memory_mib():,.0f} MiB")


if __name__ == "__main__":
    main()
