"""Lookups through Feast's own interface, on a real lake and a real registry."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore, FeatureView, Field, FileSource
from feast.errors import FeatureNameCollisionError
from feast.types import Float64, Int64

from feature_repo.errors import BadData
from feature_repo.lake import Lake, write_lake
from feature_repo.offline_store import DuckLakeOfflineStore, DuckLakeOfflineStoreConfig
from feature_repo.retrieval_job import DuckLakeRetrievalJob
from tests.feature_repo.probe_store import ask, at, build_spine, open_store, read_values, source

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


@pytest.mark.parametrize("entity_df", [build_spine(*[row[:2] for row in ROWS]), SQL], ids=["frame", "sql"])
def test_every_spine_row_comes_back_once_and_in_its_place(store: FeatureStore, entity_df: Any) -> None:
    table = ask(store, entity_df).to_arrow()
    assert table["number"].to_pylist() == list(range(len(ROWS)))
    assert table["channel_id"].to_pylist() == [row[0] for row in ROWS]
    assert table["event_timestamp"].to_pylist() == [row[1] for row in ROWS]
    assert table["daily_count"].to_pylist() == [row[2] for row in ROWS]


def test_what_is_known_a_microsecond_later_is_not_seen(store: FeatureStore) -> None:
    just_before, then = at("13:00") - timedelta(microseconds=1), at("13:00")
    assert read_values(ask(store, build_spine(("b", just_before), ("b", then)))) == [20, 22]


def test_without_the_cutoff_a_value_counts_from_its_event_on(store: FeatureStore) -> None:
    job = ask(store, build_spine(("b", at("12:00")), ("a", at("10:30"))), filter_by_created_timestamp=False)
    assert read_values(job) == [22, 12]


@pytest.mark.parametrize(("data_version", "expected"), [(0, None), (1, 11), (2, 11), (3, 13), (None, 13)])
def test_rows_of_later_batches_are_not_there(counts_lake: Lake, data_version: int | None, expected: int | None) -> None:
    store = open_store(counts_lake, data_version=data_version)
    assert read_values(ask(store, build_spine(("a", at("12:00"))))) == [expected]


def test_a_value_expires_after_its_ttl(store: FeatureStore) -> None:
    rows = build_spine(("a", at("12:00")), ("a", at("12:00") + timedelta(microseconds=1)))
    assert read_values(ask(store, rows, "fresh_counts:daily_count")) == [13, None]


def test_a_naive_spine_is_utc(store: FeatureStore) -> None:
    rows = build_spine(("a", at("11:00")))
    naive = rows.assign(event_timestamp=rows["event_timestamp"].dt.tz_localize(None))
    found = ask(store, naive).to_arrow()
    assert found["daily_count"].to_pylist() == [13]
    assert found["event_timestamp"].to_pylist() == [at("11:00")]


def test_a_spine_of_another_zone_is_converted(store: FeatureStore) -> None:
    rows = build_spine(("b", at("12:59")), ("b", at("13:00")))
    elsewhere = rows.assign(event_timestamp=rows["event_timestamp"].dt.tz_convert("America/New_York"))
    assert read_values(ask(store, elsewhere)) == [20, 22]


@pytest.mark.parametrize(
    "rows", [build_spine((None, at("12:00")), (None, at("12:00"))), build_spine()], ids=["null", "none"]
)
def test_a_spine_without_a_single_key_has_no_values(store: FeatureStore, rows: pd.DataFrame) -> None:
    assert read_values(ask(store, rows)) == [None] * len(rows)


def test_one_view_serves_two_sides_under_full_names(store: FeatureStore) -> None:
    rows = build_spine(("a", at("12:00"))).assign(host_id="a", guest_id="b")
    job = store.get_historical_features(rows, store.get_feature_service("both_sides"), full_feature_names=True)
    assert job.full_feature_names
    table = job.to_arrow()
    assert table.column_names[-3:] == ["host__daily_count", "host__count_age_hours", "guest__daily_count"]
    assert [table[name].to_pylist() for name in table.column_names[-3:]] == [[13], [1.0], [22]]


def test_the_same_feature_of_two_views_needs_full_names(store: FeatureStore) -> None:
    rows = build_spine(("a", at("12:30")))
    names = ("counts:daily_count", "fresh_counts:daily_count")
    with pytest.raises(FeatureNameCollisionError, match="Duplicate features named daily_count found"):
        ask(store, rows, *names)
    job = ask(store, rows, *names, full_feature_names=True)
    assert read_values(job, "counts__daily_count") == [13]
    assert read_values(job, "fresh_counts__daily_count") == [None]


@pytest.mark.parametrize(
    ("entity_df", "words"),
    [
        (build_spine(("a", at("12:00"))).drop(columns="channel_id"), r"counts is looked up by \['channel_id'\]"),
        (build_spine(("a", at("12:00"))).assign(Daily_Count=1), r"two columns named \['daily_count'\]; rename"),
        ("select * from raw.nothing", r"lacks a table; run `scorelake apply`: .*Table with name nothing"),
        ("select nothing from raw.videos", r"cannot be planned; correct it: Binder Error: .*nothing"),
        ("selec 1", r"cannot be planned; correct it: Parser Error: syntax error"),
        (
            "from features.counts at (version => 999)",
            r"correct it: Invalid Input Error: No snapshot found at version 999",
        ),
    ],
)
def test_a_spine_that_does_not_fit_is_refused(store: FeatureStore, entity_df: Any, words: str) -> None:
    with pytest.raises(BadData, match=words):
        ask(store, entity_df)


def test_a_view_without_keys_gives_each_row_the_one_value_of_its_instant(own_lake: Lake) -> None:
    fields = [Field(name="count_age_hours", dtype=Float64), Field(name="daily_count", dtype=Int64)]
    store = open_store(own_lake)
    store.apply([FeatureView(name="any_channel", entities=[], schema=fields, source=source)])
    rows = build_spine(("a", at("12:59")), (None, at("13:00")), ("c", at("09:00")), ("a", None))
    job = ask(store, rows, "any_channel:count_age_hours", "any_channel:daily_count")
    assert read_values(job) == [13, 22, None, None]
    assert read_values(job, "count_age_hours") == pytest.approx([1 + 59 / 60, 1.0, None, None])
    alone = ask(store, rows, "any_channel:count_age_hours")
    assert read_values(alone, "count_age_hours") == pytest.approx([1 + 59 / 60, 1.0, None, None])
    job = ask(store, None, "any_channel:daily_count", start_date=at("11:00"), end_date=at("12:00"))
    assert job.to_arrow().to_pylist() == [
        {"event_timestamp": at("11:00"), "daily_count": 13},
        {"event_timestamp": at("12:00"), "daily_count": 13},
    ]


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


def pull_latest(store: FeatureStore, first: str, last: str) -> DuckLakeRetrievalJob:
    return DuckLakeOfflineStore.pull_latest_from_table_or_query(
        store.config, **COLUMNS, start_date=at(first), end_date=at(last)
    )


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
    assert read_pulled(pull_latest(store, first, last)) == expected


@pytest.mark.parametrize(("data_version", "expected"), [(0, []), (1, [("a", 11), ("b", 22)])])
def test_the_latest_rows_are_those_of_a_data_version(
    counts_lake: Lake, data_version: int, expected: list[tuple[str, int]]
) -> None:
    assert read_pulled(pull_latest(open_store(counts_lake, data_version=data_version), "00:00", "13:00")) == expected


@pytest.mark.parametrize(
    ("data_version", "last", "expected"),
    [(None, None, [10, 11, 12, 13, 20, 22]), (1, None, [10, 11, 20, 22]), (None, at("10:00"), [10, 12, 20])],
)
def test_all_rows_are_those_with_an_event_in_the_window(
    counts_lake: Lake, data_version: int | None, last: datetime | None, expected: list[int]
) -> None:
    config = open_store(counts_lake, data_version=data_version).config
    job = DuckLakeOfflineStore.pull_all_from_table_or_query(config, **COLUMNS, end_date=last)
    assert [value for _, value in read_pulled(job)] == expected


def test_another_kind_of_source_is_refused(store: FeatureStore) -> None:
    columns = {**COLUMNS, "data_source": FileSource(path="x.parquet", timestamp_field="t")}
    with pytest.raises(BadData, match="reads tables of the lake, found a FileSource; use DuckLakeSource"):
        DuckLakeOfflineStore.pull_all_from_table_or_query(store.config, **columns)


@pytest.mark.parametrize("home", ["${SCORELAKE_HOME}", "relative/path", ""])
def test_a_home_that_is_not_absolute_is_refused(home: str) -> None:
    with pytest.raises(BadData, match=r"SCORELAKE_HOME must be set to an absolute path, found .*; set it, or run"):
        DuckLakeOfflineStoreConfig(home=home)  # type: ignore[arg-type]  # as it stands in YAML


def add_row(lake: Lake, sql: str) -> int:
    """Run a statement and return the id of the snapshot it made."""
    with write_lake(lake, purpose="a test") as connection:
        connection.execute(sql)
        return int(connection.execute("select max(snapshot_id) from lake.snapshots()").fetchall()[0][0])


ROW = "insert into features.counts values ('a', '2026-01-05 12:00:00+00', null, {batch}, {value}, null)"


def read_every_way(store: FeatureStore) -> tuple[Any, ...]:
    """The newest value of channel a, read in each way there is."""
    spine = build_spine(("a", at("12:30")))
    config = store.config
    everything = DuckLakeOfflineStore.pull_all_from_table_or_query(config, **COLUMNS, start_date=at("11:00"))
    return (
        read_values(ask(store, spine))[0],
        read_values(ask(store, SQL))[5],
        max(
            value for value in read_values(ask(store, None, start_date=at("10:30"), end_date=at("12:30"))) if value < 20
        ),
        dict(read_pulled(pull_latest(store, "10:30", "12:30")))["a"],
        max(value for key, value in read_pulled(everything) if key == "a"),
    )


def test_every_read_can_be_made_as_of_a_snapshot_or_a_data_version(own_lake: Lake) -> None:
    untouched = add_row(own_lake, "create table features.other (x bigint)")
    before = add_row(own_lake, ROW.format(batch=4, value=14))
    after = add_row(own_lake, ROW.format(batch=5, value=15))
    now = open_store(own_lake)
    window = {"start_date": at("11:30"), "end_date": at("12:30")}
    assert read_values(ask(now, None, **window), "channel_id") == ["a", "b"]
    assert read_values(ask(open_store(own_lake, snapshot=untouched), None, **window), "channel_id") == ["b"]
    assert read_every_way(now) == (15,) * 5
    assert read_every_way(open_store(own_lake, snapshot=before)) == (14,) * 5
    assert read_every_way(open_store(own_lake, snapshot=after)) == (15,) * 5
    assert read_every_way(open_store(own_lake, data_version=4)) == (14,) * 5
    assert read_every_way(open_store(own_lake, snapshot=after, data_version=3)) == (13,) * 5


def test_a_snapshot_that_is_not_kept_is_told_and_the_data_version_stays(own_lake: Lake) -> None:
    expired = add_row(own_lake, ROW.format(batch=4, value=14))
    newest = add_row(own_lake, ROW.format(batch=5, value=15))
    add_row(own_lake, f"call ducklake_expire_snapshots('lake', versions => [{expired}])")
    spine = build_spine(("a", at("12:30")))
    for gone in (expired, newest + 100):
        job = ask(open_store(own_lake, snapshot=gone), spine)
        words = rf"at version {gone}: it expired, or never was; kept are some of 0 to {newest}. Read as of a data"
        with pytest.raises(BadData, match=words):
            job.to_arrow()
    assert read_values(ask(open_store(own_lake, data_version=4), spine)) == [14]


def test_a_snapshot_older_than_the_table_or_a_column_is_told(own_lake: Lake) -> None:
    before = add_row(own_lake, ROW.format(batch=4, value=14))
    spine = build_spine(("a", at("12:30")))
    for snapshot in (0, 1):
        with pytest.raises(BadData, match="a snapshot that is not older than the table and its columns: Catalog Error"):
            ask(open_store(own_lake, snapshot=snapshot), spine).to_arrow()
    add_row(own_lake, "alter table features.counts rename n_1d to daily")
    with pytest.raises(BadData, match=r"run `scorelake apply`, or ask .* and its columns: Binder Error: .*n_1d"):
        ask(open_store(own_lake), spine).to_arrow()
    assert read_values(ask(open_store(own_lake, snapshot=before), spine)) == [14]
