"""A lake table as Feast's source: what the registry keeps of it, what it tells, and the age of its rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import FeatureStore
from feast.value_type import ValueType

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake
from feature_repo.offline_source import DuckLakeSource, read_value_type
from feature_repo.offline_store import DuckLakeOfflineStore
from tests.feature_repo.probe_store import ask, at, build_spine, open_store, read_values, source


def test_a_source_comes_back_from_the_registry_as_it_went_in(store: FeatureStore) -> None:
    found = store.get_data_source("daily")
    assert found == source
    assert hash(found) == hash(source)
    assert found.created_timestamp == source.created_timestamp
    assert (found.table, found.version_column, found.age_column) == ("features.counts", "ingest_seq", "age")


@pytest.mark.parametrize("other", [{"version_column": "other"}, {"age_column": "other"}, {"table": "features.other"}])
def test_sources_that_differ_are_not_equal(other: dict[str, Any]) -> None:
    given = {"table": "features.counts", "name": "daily", "age_column": "age"}
    assert DuckLakeSource(**given) == DuckLakeSource(**given)
    assert DuckLakeSource(**given) != DuckLakeSource(**given | other)


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


def test_the_age_is_told_after_the_columns_and_the_batch_number_is_not(store: FeatureStore) -> None:
    assert list(source.get_table_column_names_and_types(store.config)) == [
        ("channel_id", "varchar"),
        ("event_timestamp", "timestamptz"),
        ("created_timestamp", "timestamptz"),
        ("n_1d", "bigint"),
        ("n_7d", "bigint"),
        ("age", "double"),
    ]


def test_the_age_is_part_of_what_decides_a_value() -> None:
    without = DuckLakeSource(table="features.counts").describe()
    assert "age_column" not in without  # or every model trained before there were ages would seem outdated
    assert DuckLakeSource(table="features.counts", age_column="age").describe() == without | {"age_column": "age"}


AGES = [
    ("a", at("09:59"), None, None),
    ("a", at("11:00"), 0.0, 13),
    ("a", at("11:45"), 0.75, 13),
    ("a", at("11:00") + timedelta(days=365), 8760.0, 13),
    ("b", at("12:59"), 2.0 + 59 / 60, 20),  # the row of 12:00 is not known yet
    ("b", at("13:00"), 1.0, 22),  # known only now, but an hour old
    (None, at("13:00"), None, None),
]


def test_the_age_is_the_hours_since_the_event_of_the_value(store: FeatureStore) -> None:
    job = ask(store, build_spine(*[row[:2] for row in AGES]), "counts:count_age_hours", "counts:daily_count")
    assert read_values(job, "count_age_hours") == pytest.approx([row[2] for row in AGES])
    assert read_values(job) == [row[3] for row in AGES]


def test_an_age_can_be_asked_for_alone_and_ends_with_the_ttl(store: FeatureStore) -> None:
    rows = build_spine(("a", at("12:00")), ("a", at("12:00") + timedelta(microseconds=1)))
    assert read_values(ask(store, rows, "fresh_counts:count_age_hours"), "count_age_hours") == [1.0, None]
    assert read_values(ask(store, rows, "counts:count_age_hours"), "count_age_hours") == pytest.approx([1.0, 1.0])


def pull(store: FeatureStore, **window: Any) -> dict[tuple[str, int], float]:
    columns = {
        "join_key_columns": ["channel_id"],
        "feature_name_columns": ["n_1d", "age"],
        "timestamp_field": "event_timestamp",
        "created_timestamp_column": "created_timestamp",
    }
    kind = "latest" if window else "all"
    read = getattr(DuckLakeOfflineStore, f"pull_{kind}_from_table_or_query")
    table = read(store.config, source, **columns, **window).to_arrow()
    return {(row["channel_id"], row["n_1d"]): row["age"] for row in table.to_pylist()}


def test_a_pulled_row_is_as_old_as_at_the_end_of_the_window(store: FeatureStore) -> None:
    found = pull(store, start_date=at("00:00"), end_date=at("13:30"))
    assert found == {("a", 13): pytest.approx(2.5), ("b", 22): pytest.approx(1.5)}


def test_each_of_all_rows_is_new_at_its_own_event(store: FeatureStore) -> None:
    assert set(pull(store).values()) == {0.0}


def test_the_online_store_holds_the_age_at_the_end_of_its_window(own_lake: Lake) -> None:
    store = open_store(own_lake)
    store.materialize(at("00:00"), at("13:30"))
    names = ["counts:count_age_hours", "counts:daily_count"]
    found = store.get_online_features(names, [{"channel_id": "a"}, {"channel_id": "c"}]).to_dict()
    assert found == {"channel_id": ["a", "c"], "count_age_hours": [2.5, None], "daily_count": [13, None]}


def test_a_type_that_feast_cannot_hold_is_refused() -> None:
    with pytest.raises(BadData, match="cannot have the type ubigint; possible are bigint, "):
        read_value_type("ubigint")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (DuckLakeSource(table="features.nothing"), "lacks a table; run `scorelake apply`"),
        (DuckLakeSource(table="raw.videos"), r"but lacks \['event_timestamp', 'created_timestamp'\]"),
        (DuckLakeSource(table="features.counts", version_column="batch"), r"but lacks \['batch'\]"),
        (DuckLakeSource(table="features.counts", age_column="n_1d"), "has a column n_1d; name another"),
    ],
)
def test_a_source_that_is_not_in_the_lake_is_refused(store: FeatureStore, broken: DuckLakeSource, words: str) -> None:
    with pytest.raises(BadData, match=words):
        broken.validate(store.config)


def test_a_home_without_a_lake_is_told(tmp_path: Path) -> None:
    config = open_store(Lake(tmp_path)).config
    with pytest.raises(Unavailable, match=r"no lake at .*; make one with `scorelake apply`"):
        source.validate(config)
