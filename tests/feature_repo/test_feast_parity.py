"""Our store beside Feast's own DuckDB store, on identical rows: equal wherever that one is right.

Where it is wrong, a test of its own shows the value it gives and the one there should be.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.data_source import DataSource
from feast.types import Int64
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from tests.feature_repo.histories import (
    MINUTES,
    ROWS,
    Ask,
    Row,
    ask_lists,
    build_table,
    look_up,
    name_features,
    row_lists,
)

pytest.importorskip("ibis", reason="Feast's own DuckDB store needs the extra feast[duckdb]")

from feast.infra.offline_stores.duckdb import DuckDBOfflineStore

from feature_repo.offline_store import DuckLakeOfflineStore

OURS = "feature_repo.offline_store.DuckLakeOfflineStore"
SPINE = {"k": pa.string(), "k2": pa.string(), "event_timestamp": pa.timestamp("us", tz="UTC"), "number": pa.int64()}
KEYS = [Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in ("k", "k2")]
NO_CREATED = {"created": None, "version": 1}


@dataclass(frozen=True)
class Both:
    """One table in the lake and in a Parquet file, and a store of each kind that reads it."""

    lake: Lake
    file: Path
    ours: FeatureStore
    theirs: FeatureStore

    def write(self, rows: Sequence[Row]) -> None:
        write_rows(self.lake, self.file, rows)


_MINUTES_AGO, _WRITES = 1_700_000_000, count()


def write_rows(lake: Lake, file: Path, rows: Sequence[Row]) -> None:
    found = [
        {"k": row.k, "k2": row.k2, "e": row.event, "c": row.created, "v": row.version, **name_features(rows, row)}
        for row in rows
    ]
    table = build_table(found, ROWS, clock=MINUTES, zone="UTC").rename_columns({"y": "odd_y"})
    pq.write_table(table, file)
    # DuckDB tells a changed file by its time, and two examples may be written within one tick of it.
    written_at = _MINUTES_AGO + 60 * next(_WRITES)
    os.utime(file, (written_at, written_at))
    with write_lake(lake, purpose="a test") as connection:
        connection.register("rows", table)
        connection.execute("create or replace table features.parity as from rows")


def build_store(folder: Path, source: DataSource, **offline: Any) -> FeatureStore:
    store = FeatureStore(
        config=RepoConfig(
            project="parity",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store=offline,
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    fields = [Field(name="x", dtype=Int64), Field(name="odd_y", dtype=Int64)]
    two = FeatureView(name="two", entities=KEYS, source=source, schema=fields)
    short = FeatureView(name="short", entities=KEYS[:1], source=source, schema=fields, ttl=timedelta(minutes=2))
    mapped = FeatureService(name="mapped", features=[two[["x"]].with_name("host").with_join_key_map({"k": "host"})])
    store.apply([*KEYS, source, two, short, mapped])
    return store


@pytest.fixture(scope="module")
def both(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("parity")
    lake, file = Lake(shutil.copytree(seed_home, folder / "home")), folder / "rows.parquet"
    (folder / "ours").mkdir()
    (folder / "theirs").mkdir()
    columns = {"name": "rows", "timestamp_field": "e", "created_timestamp_column": "c"}
    table = DuckLakeSource(table="features.parity", version_column="v", **columns)
    write_rows(lake, file, [])  # Feast looks at the columns
    ours = build_store(folder / "ours", table, type=OURS, home=lake.home)
    theirs = build_store(folder / "theirs", FileSource(path=str(file), **columns), type="duckdb")
    return Both(lake, file, ours, theirs)


def build_spine(asks: Sequence[Ask]) -> pd.DataFrame:
    rows = [
        {"k": ask.k, "k2": ask.k2, "event_timestamp": MINUTES.at(ask.instant), "number": number}
        for number, ask in enumerate(asks)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(SPINE)).to_pandas()


def read(store: FeatureStore, spine: Any, features: Any = ("two:x",), *, is_cut_off: bool = True) -> list[Any]:
    """The features of each spine row, in the order of the rows' numbers; alone if there is one feature."""
    features = features if isinstance(features, FeatureService) else list(features)
    job = store.get_historical_features(
        entity_df=spine.copy(), features=features, filter_by_created_timestamp=is_cut_off, full_feature_names=True
    )
    rows = sorted(job.to_arrow().to_pylist(), key=lambda row: row["number"])
    found = [tuple(value for name, value in row.items() if "__" in name) for row in rows]
    return [values[0] if len(values) == 1 else values for values in found]


def is_right_in_feast(row: Row) -> bool:
    """Feast knows neither batches (ties) nor a created that is null for the event; see below."""
    return row.created is not None and row.version == 1


@settings(max_examples=12, deadline=None)
@given(rows=row_lists, asks=ask_lists.filter(len), is_cut_off=st.booleans())
def test_both_find_the_same_where_feast_is_right(
    both: Both, *, rows: list[Row], asks: list[Ask], is_cut_off: bool
) -> None:
    rows = list({row.place: row for row in rows if is_right_in_feast(row)}.values())
    both.write(rows)
    spine = build_spine(asks)
    features = ["two:x", "short:x"]
    state = {"data_version": None, "is_cut_off": is_cut_off}
    expected = [
        (look_up(rows, ask, keys=2, ttl=0, **state), look_up(rows, ask, keys=1, ttl=2, **state)) for ask in asks
    ]
    assert read(both.ours, spine, features, is_cut_off=is_cut_off) == expected
    assert read(both.theirs, spine, features, is_cut_off=is_cut_off) == expected


def test_feast_is_blind_to_a_row_that_was_known_at_once(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1), Row("a", "x", event=1, **NO_CREATED)])
    spine = build_spine([Ask("a", "x", 5)])
    assert read(both.ours, spine) == [1]
    assert read(both.theirs, spine) == [0]  # the row before: a null is later than any instant there


def test_feast_prefers_what_was_foreseen_to_what_was_observed(both: Both) -> None:
    both.write([Row("a", "x", event=3, created=1, version=1), Row("a", "x", event=3, **NO_CREATED)])
    spine = build_spine([Ask("a", "x", 5)])
    assert read(both.ours, spine, is_cut_off=False) == [1]
    assert read(both.theirs, spine, is_cut_off=False) == [0]


def test_feast_lets_the_order_of_the_file_decide_a_tie(both: Both) -> None:
    old, new = Row("a", "x", event=1, created=1, version=1), Row("a", "x", event=1, created=1, version=2)
    spine = build_spine([Ask("a", "x", 5)])
    both.write([old, new])
    assert (read(both.ours, spine), read(both.theirs, spine)) == ([1], [0])
    both.write([new, old])
    assert (read(both.ours, spine), read(both.theirs, spine)) == ([0], [0])


def test_feast_forgets_the_keys_that_a_map_does_not_name(both: Both) -> None:
    both.write([Row("a", k2, event=1, created=1, version=1) for k2 in "xyz"])
    spine = build_spine([Ask("a", k2, 5) for k2 in "xyz"]).rename(columns={"k": "host"})
    service = both.ours.get_feature_service("mapped")
    assert read(both.ours, spine, service) == [0, 1, 2]
    found = read(both.theirs, spine, both.theirs.get_feature_service("mapped"))
    assert len(set(found)) == 1  # k2 was left out of the join: one value for all three


def test_feast_gives_rows_back_in_another_order(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1)])
    spine = build_spine([Ask("a", "x", None), Ask("a", "x", 5)])
    jobs = [store.get_historical_features(entity_df=spine, features=["two:x"]) for store in (both.ours, both.theirs)]
    assert [job.to_arrow()["number"].to_pylist() for job in jobs] == [[0, 1], [1, 0]]


def test_feast_loses_a_column_of_the_spine(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1)])
    spine = build_spine([Ask("a", "x", 5)]).assign(entity_row_id="mine")
    jobs = [store.get_historical_features(entity_df=spine, features=["two:x"]) for store in (both.ours, both.theirs)]
    ours, theirs = (job.to_arrow().column_names for job in jobs)
    assert ours == ["k", "k2", "event_timestamp", "number", "entity_row_id", "x"]
    assert theirs == ["k", "k2", "event_timestamp", "number", "x"]


def test_feast_has_no_feature_whose_name_ends_in_y(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1)])
    spine = build_spine([Ask("a", "x", 5)])

    def ask(store: FeatureStore) -> list[int]:
        job = store.get_historical_features(entity_df=spine.copy(), features=["two:odd_y"])
        return list(job.to_arrow()["odd_y"].to_pylist())

    assert ask(both.ours) == [0]
    with pytest.raises(Exception, match="Column 'odd_y' is not found in table"):
        ask(both.theirs)


def test_feast_takes_no_spine_as_sql(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1)])
    spine = "select 'a' as k, 'x' as k2, timestamptz '2026-01-06 00:00:00+00' as event_timestamp"
    assert both.ours.get_historical_features(entity_df=spine, features=["two:x"]).to_arrow()["x"].to_pylist() == [0]
    with pytest.raises(AttributeError, match="'str' object has no attribute 'columns'"):
        both.theirs.get_historical_features(entity_df=spine, features=["two:x"])


def pull_latest(both: Both, first: int, last: int, *, is_naive: bool = False) -> list[list[int]]:
    """What each store would write into the online store: of ours, then of theirs, the values of x."""
    bounds = [MINUTES.start + minute * MINUTES.step for minute in (first, last)]
    bounds = [bound.replace(tzinfo=None) for bound in bounds] if is_naive else bounds
    found = []
    for kind, store in ((DuckLakeOfflineStore, both.ours), (DuckDBOfflineStore, both.theirs)):
        source = store.get_feature_view("two").batch_source
        job = kind.pull_latest_from_table_or_query(store.config, source, ["k", "k2"], ["x"], "e", "c", *bounds)
        found.append(job.to_arrow()["x"].to_pylist())
    return found


def test_feast_puts_online_what_is_not_known_yet(both: Both) -> None:
    both.write([Row("a", "x", event=0, created=0, version=1), Row("a", "x", event=1, created=9, version=1)])
    assert pull_latest(both, 0, 5) == [[0], [1]]
    assert pull_latest(both, 0, 9) == [[1], [1]]


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_feast_reads_bounds_without_a_zone_as_the_machines(both: Both, far_from_utc: None) -> None:
    both.write([Row("a", "x", event=1, created=1, version=1)])
    assert pull_latest(both, 0, 5, is_naive=True) == [[0], []]
    assert pull_latest(both, 0, 5) == [[0], [0]]
