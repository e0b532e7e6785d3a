"""The store through Feast's own interface, on a real lake and a real registry."""

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.types import Int64
from feast.value_type import ValueType

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.offline_source import DuckLakeSource, read_value_type
from feature_repo.offline_store import DuckLakeOfflineStore, DuckLakeOfflineStoreConfig, DuckLakeRetrievalJob

TYPE = "feature_repo.offline_store.DuckLakeOfflineStore"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{clock}+00:00")


# channel, event, created, batch, comments of the day
HISTORY = [
    ("a", at("10:00"), at("10:00"), 1, 10),
    ("a", at("11:00"), at("11:00"), 1, 11),
    ("a", at("10:00"), at("11:30"), 2, 12),  # a correction that was overtaken before it was known
    ("a", at("11:00"), at("11:00"), 3, 13),  # replaces the second row: the same instants, a later batch
    ("b", at("10:00"), None, 1, 20),
    ("b", at("12:00"), at("13:00"), 1, 22),  # known an hour late
]

channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.STRING)
source = DuckLakeSource(
    table="features.counts",
    name="daily",
    field_mapping={"n_1d": "daily_count", "n_7d": "weekly_count"},
    description="Counts by day.",
    tags={"team": "one"},
    owner="someone",
)


def build_view(name: str, ttl: timedelta) -> FeatureView:
    schema = [Field(name="daily_count", dtype=Int64), Field(name="weekly_count", dtype=Int64)]
    return FeatureView(name=name, entities=[channel], schema=schema, source=source, ttl=ttl)


counts = build_view("counts", timedelta(0))
fresh_counts = build_view("fresh_counts", timedelta(hours=1))
both_sides = FeatureService(
    name="both_sides",
    features=[
        counts[["daily_count"]].with_name("host").with_join_key_map({"channel_id": "host_id"}),
        counts[["daily_count"]].with_name("guest").with_join_key_map({"channel_id": "guest_id"}),
    ],
)


def open_store(lake: Lake, **overrides: Any) -> FeatureStore:
    feast = lake.home / "feast"
    return FeatureStore(
        config=RepoConfig(
            project="probe",
            provider="local",
            registry=str(feast / "registry.db"),
            offline_store={"type": TYPE, "home": lake.home, **overrides},
            online_store={"type": "sqlite", "path": str(feast / "online.db")},
            entity_key_serialization_version=3,
        )
    )


@pytest.fixture(scope="module")
def filled(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("filled") / "home"))
    with write_lake(lake, purpose="a test") as connection:
        connection.execute(
            "create table features.counts (channel_id varchar, event_timestamp timestamptz, "
            "created_timestamp timestamptz, ingest_seq bigint, n_1d bigint, n_7d bigint)"
        )
        connection.executemany("insert into features.counts values (?, ?, ?, ?, ?, null)", HISTORY)
    (lake.home / "feast").mkdir()
    open_store(lake).apply([channel, source, counts, fresh_counts, both_sides])
    return lake


@pytest.fixture(scope="module")
def store(filled: Lake) -> FeatureStore:
    return open_store(filled)


def spine(*rows: tuple[str | None, datetime | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "channel_id": [row[0] for row in rows],
            "event_timestamp": pd.to_datetime(pd.Series([row[1] for row in rows], dtype="object"), utc=True),
            "number": range(len(rows)),
        }
    )


def ask(store: FeatureStore, entity_df: Any, *features: str, **options: Any) -> DuckLakeRetrievalJob:
    options = {"filter_by_created_timestamp": True} | options
    job = store.get_historical_features(
        entity_df=entity_df, features=list(features) or ["counts:daily_count"], **options
    )
    assert isinstance(job, DuckLakeRetrievalJob)
    return job


def values(job: RetrievalJob, column: str = "daily_count") -> list[Any]:
    return list(job.to_arrow()[column].to_pylist())


ROWS = [
    ("b", at("13:00"), 22),
    ("a", at("11:00"), 13),
    ("a", at("09:59"), None),
    (None, at("12:00"), None),
    ("b", at("12:59"), 20),
    ("a", at("12:00"), 13),
    ("a", at("11:00"), 13),
    ("c", at("12:00"), None),
    ("a", None, None),
]
SQL = """
    select * from (values
        (0, 'b', timestamptz '2026-01-05 13:00'),
        (1, 'a', timestamptz '2026-01-05 11:00'),
        (2, 'a', timestamptz '2026-01-05 09:59'),
        (3, null, timestamptz '2026-01-05 12:00'),
        (4, 'b', timestamptz '2026-01-05 12:59'),
        (5, 'a', timestamptz '2026-01-05 12:00'),
        (6, 'a', timestamptz '2026-01-05 11:00'),
        (7, 'c', timestamptz '2026-01-05 12:00'),
        (8, 'a', null)
    ) as rows (number, channel_id, event_timestamp)
    order by number;
"""


@pytest.mark.parametrize("entity_df", [spine(*[row[:2] for row in ROWS]), SQL], ids=["frame", "sql"])
def test_every_spine_row_comes_back_once_and_in_its_place(store: FeatureStore, entity_df: Any) -> None:
    table = ask(store, entity_df).to_arrow()
    assert table["number"].to_pylist() == list(range(len(ROWS)))
    assert table["channel_id"].to_pylist() == [row[0] for row in ROWS]
    assert table["event_timestamp"].to_pylist() == [row[1] for row in ROWS]
    assert table["daily_count"].to_pylist() == [row[2] for row in ROWS]


def test_what_is_known_a_microsecond_later_is_not_seen(store: FeatureStore) -> None:
    just_before, then = at("13:00") - timedelta(microseconds=1), at("13:00")
    assert values(ask(store, spine(("b", just_before), ("b", then)))) == [20, 22]


def test_without_the_cutoff_a_value_counts_from_its_event_on(store: FeatureStore) -> None:
    job = ask(store, spine(("b", at("12:00")), ("a", at("10:30"))), filter_by_created_timestamp=False)
    assert values(job) == [22, 12]


@pytest.mark.parametrize(("data_version", "expected"), [(0, None), (1, 11), (2, 11), (3, 13), (None, 13)])
def test_rows_of_later_batches_are_not_there(filled: Lake, data_version: int | None, expected: int | None) -> None:
    assert values(ask(open_store(filled, data_version=data_version), spine(("a", at("12:00"))))) == [expected]


def test_a_value_expires_after_its_ttl(store: FeatureStore) -> None:
    rows = spine(("a", at("12:00")), ("a", at("12:00") + timedelta(microseconds=1)))
    assert values(ask(store, rows, "fresh_counts:daily_count")) == [13, None]


def test_a_naive_spine_is_utc(store: FeatureStore) -> None:
    rows = spine(("a", at("11:00")))
    naive = rows.assign(event_timestamp=rows["event_timestamp"].dt.tz_localize(None))
    found = ask(store, naive).to_arrow()
    assert found["daily_count"].to_pylist() == [13]
    assert found["event_timestamp"].to_pylist() == [at("11:00")]


@pytest.mark.parametrize("rows", [spine((None, at("12:00")), (None, at("12:00"))), spine()], ids=["null", "none"])
def test_a_spine_without_a_single_key_has_no_values(store: FeatureStore, rows: pd.DataFrame) -> None:
    assert values(ask(store, rows)) == [None] * len(rows)


def test_one_view_serves_two_sides_under_full_names(store: FeatureStore) -> None:
    rows = spine(("a", at("12:00"))).assign(host_id="a", guest_id="b")
    job = store.get_historical_features(rows, store.get_feature_service("both_sides"), full_feature_names=True)
    assert job.full_feature_names
    assert values(job, "host__daily_count") == [13]
    assert values(job, "guest__daily_count") == [22]


def test_a_job_gives_the_same_as_table_frame_batches_and_sql(store: FeatureStore, filled: Lake) -> None:
    job = ask(store, SQL, "counts:daily_count", "fresh_counts:weekly_count")
    table = job.to_arrow()
    assert table.column_names == ["number", "channel_id", "event_timestamp", "daily_count", "weekly_count"]
    assert pa.Table.from_batches(job.to_record_batches(rows_per_batch=2)) == table
    pd.testing.assert_frame_equal(job.to_df(), table.to_pandas())
    with read_lake(filled) as connection:
        assert connection.execute(job.to_sql()).to_arrow_table() == table


def test_the_sql_of_a_frame_reads_it_under_its_name(store: FeatureStore, filled: Lake) -> None:
    rows = spine(("a", at("12:00")))
    job = ask(store, rows)
    with read_lake(filled) as connection:
        connection.register("entity_df", rows)
        assert connection.execute(job.to_sql()).fetchall() == [("a", at("12:00"), 0, 13)]


def test_a_job_describes_its_spine(store: FeatureStore) -> None:
    found = ask(store, spine(("a", at("12:00")), ("b", at("09:00")))).metadata
    assert found is not None
    assert (found.features, found.keys) == (["counts:daily_count"], ["channel_id", "number"])
    assert (found.min_event_timestamp, found.max_event_timestamp) == (at("09:00"), at("12:00"))


@pytest.mark.parametrize(
    ("entity_df", "words"),
    [
        (spine(("a", at("12:00"))).drop(columns="channel_id"), r"counts is looked up by \['channel_id'\]"),
        (spine(("a", at("12:00"))).assign(Daily_Count=1), r"two columns named \['daily_count'\]; rename"),
        ("select * from raw.nothing", r"lacks a table; run `scorelake apply`: .*Table with name nothing"),
    ],
)
def test_a_spine_that_does_not_fit_is_refused(store: FeatureStore, entity_df: Any, words: str) -> None:
    with pytest.raises(BadData, match=words):
        ask(store, entity_df)


def test_a_retrieval_without_a_spine_is_refused(store: FeatureStore) -> None:
    with pytest.raises(BadData, match=r"looked up for the rows of a spine, found only .*; pass entity_df"):
        store.get_historical_features(features=["counts:daily_count"], end_date=at("12:00"))


def read_pulled(job: DuckLakeRetrievalJob) -> list[tuple[str, int]]:
    table = job.to_arrow()
    assert table.column_names == ["channel_id", "n_1d", "event_timestamp", "created_timestamp"]
    return sorted((row["channel_id"], row["n_1d"]) for row in table.to_pylist())


COLUMNS: Mapping[str, Any] = {
    "data_source": source,
    "join_key_columns": ["channel_id"],
    "feature_name_columns": ["n_1d"],
    "timestamp_field": "event_timestamp",
    "created_timestamp_column": "created_timestamp",
}


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("00:00", "10:00", [("a", 10), ("b", 20)]),
        ("00:00", "12:00", [("a", 13), ("b", 20)]),  # what is known of 12:00 only at 13:00 is not there yet
        ("00:00", "13:00", [("a", 13), ("b", 22)]),
        ("11:00", "12:59", [("a", 13)]),
        ("12:00", "13:00", [("b", 22)]),
        ("14:00", "15:00", []),
    ],
)
def test_the_latest_rows_are_those_known_at_the_end(
    store: FeatureStore, first: str, last: str, expected: list[tuple[str, int]]
) -> None:
    job = DuckLakeOfflineStore.pull_latest_from_table_or_query(
        store.config, **COLUMNS, start_date=at(first), end_date=at(last)
    )
    assert read_pulled(job) == expected


@pytest.mark.parametrize(
    ("data_version", "last", "expected"),
    [(None, None, [10, 11, 12, 13, 20, 22]), (1, None, [10, 11, 20, 22]), (None, at("10:00"), [10, 12, 20])],
)
def test_all_rows_are_those_with_an_event_in_the_window(
    filled: Lake, data_version: int | None, last: datetime | None, expected: list[int]
) -> None:
    config = open_store(filled, data_version=data_version).config
    job = DuckLakeOfflineStore.pull_all_from_table_or_query(config, **COLUMNS, end_date=last)
    assert [value for _, value in read_pulled(job)] == expected


def test_another_kind_of_source_is_refused(store: FeatureStore) -> None:
    columns = {**COLUMNS, "data_source": FileSource(path="x.parquet", timestamp_field="t")}
    with pytest.raises(BadData, match="reads tables of the lake, found a FileSource; use DuckLakeSource"):
        DuckLakeOfflineStore.pull_all_from_table_or_query(store.config, **columns)


def test_a_source_comes_back_from_the_registry_as_it_went_in(store: FeatureStore) -> None:
    found = store.get_data_source("daily")
    assert found == source
    assert hash(found) == hash(source)
    assert found.created_timestamp == source.created_timestamp
    assert found != DuckLakeSource(table="features.counts", name="daily", version_column="other")


def test_a_source_tells_its_columns_and_types_from_the_lake(store: FeatureStore) -> None:
    found = dict(DuckLakeSource(table="features.comment_features").get_table_column_names_and_types(store.config))
    expected = {
        "comment_id": ("varchar", ValueType.STRING),
        "event_timestamp": ("timestamptz", ValueType.UNIX_TIMESTAMP),
        "word_count": ("bigint", ValueType.INT64),
        "digit_share": ("double", ValueType.DOUBLE),
        "is_reply": ("boolean", ValueType.BOOL),
        "token_ids_v1": ("uinteger[]", ValueType.INT64_LIST),
    }
    assert {name: (found[name], read_value_type(found[name])) for name in expected} == expected
    assert list(found)[:4] == ["comment_id", "text_id", "event_timestamp", "created_timestamp"]


def test_a_type_that_feast_cannot_hold_is_refused() -> None:
    with pytest.raises(BadData, match="cannot have the type ubigint; possible are bigint, "):
        read_value_type("ubigint")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (DuckLakeSource(table="features.nothing"), "lacks a table; run `scorelake apply`"),
        (DuckLakeSource(table="raw.videos"), r"but lacks \['event_timestamp', 'created_timestamp'\]"),
    ],
)
def test_a_source_that_is_not_in_the_lake_is_refused(store: FeatureStore, broken: DuckLakeSource, words: str) -> None:
    with pytest.raises(BadData, match=words):
        broken.validate(store.config)


@pytest.mark.parametrize("home", ["${SCORELAKE_HOME}", "relative/path", ""])
def test_a_home_that_is_not_absolute_is_refused(home: str) -> None:
    with pytest.raises(BadData, match=r"SCORELAKE_HOME must be set to an absolute path, found .*; set it, or run"):
        DuckLakeOfflineStoreConfig(home=home)  # type: ignore[arg-type]  # as it stands in YAML


def test_a_home_without_a_lake_is_told(tmp_path: Path) -> None:
    config = open_store(Lake(tmp_path)).config
    with pytest.raises(Unavailable, match=r"no lake at .*; make one with `scorelake apply`"):
        source.validate(config)
