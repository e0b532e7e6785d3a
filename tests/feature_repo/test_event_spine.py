"""Retrieval without a spine: every key and event of a window, each with what was known then."""

from datetime import datetime
from typing import Any

import pytest
from feast import Entity, FeatureStore, FeatureView, Field
from feast.types import Float64, Int64
from feast.value_type import ValueType

from feature_repo.errors import BadData
from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from tests.feature_repo.probe_store import ask, at, open_store


def read_window(store: FeatureStore, first: str, last: str, *features: str, **options: Any) -> list[tuple[Any, ...]]:
    job = ask(store, None, *features, start_date=at(first), end_date=at(last), **options)
    return [tuple(row.values()) for row in job.to_arrow().to_pylist()]


def test_every_key_and_event_of_the_window_comes_once_with_what_was_known_then(store: FeatureStore) -> None:
    assert read_window(store, "00:00", "23:59") == [
        ("a", at("10:00"), 10),  # the correction of 11:30 was not known
        ("b", at("10:00"), 20),
        ("a", at("11:00"), 13),
        ("b", at("12:00"), 20),  # its own value was known only at 13:00
    ]


def test_without_the_cutoff_each_event_shows_its_final_value(store: FeatureStore) -> None:
    found = read_window(store, "00:00", "23:59", filter_by_created_timestamp=False)
    assert [row[2] for row in found] == [12, 20, 13, 22]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("10:00", "10:00", [("a", "10:00"), ("b", "10:00")]),
        ("10:01", "11:59", [("a", "11:00")]),
        ("11:00", "12:00", [("a", "11:00"), ("b", "12:00")]),
        ("12:01", "23:00", []),
    ],
)
def test_both_ends_of_the_window_count(
    store: FeatureStore, first: str, last: str, expected: list[tuple[str, str]]
) -> None:
    assert [row[:2] for row in read_window(store, first, last)] == [(key, at(clock)) for key, clock in expected]


def test_a_naive_window_is_utc(store: FeatureStore) -> None:
    noon = datetime(2026, 1, 5, 12)  # noqa: DTZ001 - that is the point
    job = ask(store, None, start_date=noon, end_date=noon)
    assert job.to_arrow()["event_timestamp"].to_pylist() == [at("12:00")]


@pytest.mark.parametrize(
    ("view", "expected"), [("fresh_counts", [at("12:00")]), ("counts", [at("10:00"), at("11:00"), at("12:00")])]
)
def test_without_a_start_the_window_is_as_long_as_the_ttl_or_30_days(
    store: FeatureStore, view: str, expected: list[datetime]
) -> None:
    job = ask(store, None, f"{view}:daily_count", end_date=at("12:30"))
    assert sorted(set(job.to_arrow()["event_timestamp"].to_pylist())) == expected


def test_only_rows_of_the_data_version_are_there(counts_lake: Lake) -> None:
    assert read_window(open_store(counts_lake, data_version=0), "00:00", "23:59") == []
    assert [row[2] for row in read_window(open_store(counts_lake, data_version=1), "11:00", "11:00")] == [11]


def test_a_window_that_ends_before_it_starts_is_refused(store: FeatureStore) -> None:
    with pytest.raises(BadData, match="a window must end after it starts, found 2026-01-05 12:00"):
        read_window(store, "12:00", "11:00")


def test_the_range_of_the_metadata_is_that_of_the_rows(store: FeatureStore) -> None:
    found = ask(store, None, start_date=at("00:00"), end_date=at("23:59")).metadata
    assert found is not None
    assert found.keys == ["channel_id"]
    assert (found.min_event_timestamp, found.max_event_timestamp) == (at("10:00"), at("12:00"))


def test_names_are_mapped_aliased_and_full(store: FeatureStore) -> None:
    service = store.get_feature_service("both_sides")
    job = store.get_historical_features(
        features=service, start_date=at("12:00"), end_date=at("12:00"), full_feature_names=True
    )
    assert job.to_arrow().to_pylist() == [
        {
            "host_id": host,
            "guest_id": guest,
            "event_timestamp": at("12:00"),
            "host__daily_count": 22 if host else None,
            "host__count_age_hours": 0.0 if host else None,
            "guest__daily_count": 22 if guest else None,
        }
        for host, guest in [("b", None), (None, "b")]
    ]


def test_views_with_different_keys_stand_below_each_other(own_lake: Lake) -> None:
    with write_lake(own_lake, purpose="a test") as connection:
        connection.execute(
            "create table features.views as select 7 as video_id, timestamptz '2026-01-05 11:30:00+00' as "
            "event_timestamp, null::timestamptz as created_timestamp, 1::bigint as ingest_seq, 0.5 as share"
        )
    video = Entity(name="video", join_keys=["video_id"], value_type=ValueType.INT64)
    shares = FeatureView(
        name="shares",
        entities=[video],
        schema=[Field(name="video_id", dtype=Int64), Field(name="share", dtype=Float64)],
        source=DuckLakeSource(table="features.views"),
    )
    store = open_store(own_lake)
    store.apply([video, shares])
    assert read_window(store, "11:00", "11:59", "counts:daily_count", "shares:share") == [
        ("a", None, at("11:00"), 13, None),
        (None, 7, at("11:30"), None, 0.5),
    ]
