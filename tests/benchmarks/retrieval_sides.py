"""The two sides of the retrieval benchmark, and their data: comments against hourly snapshots of channels.

Every value is a formula of channel and hour, so that what a retrieval must find is known without one. A snapshot is
known five minutes after its hour. Run as a program, this is one side: it retrieves once, and tells what it took.
"""

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.data_source import DataSource
from feast.types import Float64, Int64
from feast.value_type import ValueType

from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.offline_source import DuckLakeSource

FEATURES = {
    "subscriber_count": "1000 * channel + hour",
    "video_count": "channel + hour // 24",
    "view_count": "100000 * channel + 37 * hour",
    "comment_count_1d": "(7 * channel + 11 * hour) % 500",
    "like_share": "(channel + hour) % 97 / 97.0",
}
SNAPSHOTS = f"""
    create table features.channel_snapshots as
    select
        'UC' || md5(cast(channel as varchar))[:22] as channel_id,
        timestamptz '2026-01-01 00:00:00+00' + to_hours(cast(hour as int)) as event_timestamp,
        event_timestamp + to_minutes(5) as created_timestamp,
        cast(1 as bigint) as ingest_seq,
        {", ".join(f"{formula} as {name}" for name, formula in FEATURES.items())}
    from range(200) as channels (channel), range(500) as hours (hour)
    order by hour, channel
"""
COMMENTS = """
    create table raw.comments_{rows:d} as
    select
        number,
        'Ug' || md5(cast(number as varchar))[:24] as comment_id,
        'UC' || md5(cast(hash(number) % 200 as varchar))[:22] as channel_id,
        timestamptz '2026-01-01 00:00:00+00'
            + to_microseconds(cast(hash(number + 7) % 1800000000000 as bigint)) as event_timestamp
    from range({rows:d}) as numbers (number)
"""
# What must be found, without looking anything up: the hour that was known, and its age.
TRUTH = """
    select
        hash(number) % 200 as channel,
        epoch_us(event_timestamp - interval 5 minutes - timestamptz '2026-01-01 00:00:00+00') // 3600000000 as hour,
        epoch_us(event_timestamp - timestamptz '2026-01-01 00:00:00+00') - hour * 3600000000 as age
    from raw.comments_{rows:d}
    where event_timestamp >= timestamptz '2026-01-01 00:05:00+00'
"""


@dataclass(frozen=True)
class Bench:
    """Where the data lies."""

    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "home")

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots.parquet"

    def comments(self, rows: int) -> Path:
        return self.folder / f"comments-{rows}.parquet"


def write_data(bench: Bench, sizes: list[int]) -> None:
    """The same rows as tables of a lake and as Parquet files."""
    with write_lake(bench.lake, purpose="benchmark") as connection:
        connection.execute("create schema if not exists raw")
        connection.execute("create schema if not exists features")
        connection.execute(SNAPSHOTS)
        connection.execute(f"copy features.channel_snapshots to '{bench.snapshots}'")
        for rows in sizes:
            connection.execute(COMMENTS.format(rows=rows))
            connection.execute(f"copy raw.comments_{rows} to '{bench.comments(rows)}'")


def read_tightest_ttl(bench: Bench, rows: int) -> timedelta:
    """The smallest ttl with which no comment loses the value it has without one."""
    with read_lake(bench.lake) as connection:
        found = connection.execute(f"select max(age) from ({TRUTH.format(rows=rows)})").fetchall()
    return timedelta(microseconds=found[0][0])


def read_true_sums(bench: Bench, rows: int) -> dict[str, float]:
    """The sum of each feature over all comments."""
    sums = ", ".join(f"cast(sum({formula}) as double) as {name}" for name, formula in FEATURES.items())
    with read_lake(bench.lake) as connection:
        return connection.execute(f"select {sums} from ({TRUTH.format(rows=rows)})").to_arrow_table().to_pylist()[0]


def open_store(bench: Bench, side: str, ttl: timedelta) -> FeatureStore:
    folder = bench.folder / f"{side}-{ttl // timedelta(microseconds=1)}"
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    ours = {"type": "feature_repo.offline_store.DuckLakeOfflineStore", "home": bench.lake.home}
    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store=ours if side == "ours" else {"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    if is_new:
        _apply(store, _build_source(bench, side), ttl)
    return store


def _build_source(bench: Bench, side: str) -> DataSource:
    if side == "ours":
        return DuckLakeSource(table="features.channel_snapshots")
    columns = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created_timestamp"}
    return FileSource(name="snapshots", path=str(bench.snapshots), **columns)


def _apply(store: FeatureStore, source: DataSource, ttl: timedelta) -> None:
    channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.STRING)
    fields = [Field(name=name, dtype=Float64 if name == "like_share" else Int64) for name in FEATURES]
    view = FeatureView(name="snapshots", entities=[channel], source=source, schema=fields, ttl=ttl)
    store.apply([channel, source, view])


def retrieve(bench: Bench, side: str, rows: int, ttl: timedelta) -> dict[str, float]:
    """Retrieve for a frame into a table, which is kept beside the data; what it took."""
    store = open_store(bench, side, ttl)
    spine = pq.read_table(bench.comments(rows)).to_pandas()
    first = _start(store, spine.head(1))
    started = _read_clocks()
    table = _ask(store, spine).to_arrow()
    receipt = _measure(started)
    pq.write_table(table.sort_by("number"), bench.folder / f"result-{side}.parquet")
    return {**receipt, "first_seconds": first}


def stream(bench: Bench, rows: int) -> dict[str, Any]:
    """Retrieve for a query batch by batch, keeping but the sum of each feature; what it took."""
    store = open_store(bench, "ours", timedelta(0))
    sums, seen = dict.fromkeys(FEATURES, 0.0), 0
    first = _start(store, f"from raw.comments_{rows} limit 1")
    started = _read_clocks()
    for batch in _ask(store, f"from raw.comments_{rows}").to_record_batches():
        sums = {name: total + (pc.sum(batch[name]).as_py() or 0) for name, total in sums.items()}
        seen += batch.num_rows
    return {**_measure(started), "first_seconds": first, "sums": sums, "rows": seen}


def _start(store: FeatureStore, spine: Any) -> float:
    """Seconds of the first retrieval of the process, of one row: modules are imported and extensions loaded by it."""
    started = time.perf_counter()
    _ask(store, spine).to_arrow()
    return time.perf_counter() - started


def _ask(store: FeatureStore, spine: Any) -> Any:
    features = [f"snapshots:{name}" for name in FEATURES]
    return store.get_historical_features(entity_df=spine, features=features, filter_by_created_timestamp=True)


def _read_clocks() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def _measure(started: tuple[float, float]) -> dict[str, float]:
    seconds, cpu_seconds = (now - then for now, then in zip(_read_clocks(), started, strict=True))
    # ru_maxrss would start with the size of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": int(status["VmHWM"].split()[0]) / 1024}


def main() -> None:
    folder, side, rows, microseconds = sys.argv[1:]
    bench, ttl = Bench(Path(folder)), timedelta(microseconds=int(microseconds))
    os.chdir(folder)  # what a side spills lies with the data
    receipt = stream(bench, int(rows)) if side == "stream" else retrieve(bench, side, int(rows), ttl)
    sys.stdout.write(json.dumps(receipt))


if __name__ == "__main__":
    main()
