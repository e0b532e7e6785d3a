"""What Feast expects of any offline store, as its universal tests for plug-in authors say it, in our own words.

Feast's guide for authors ("Adding a new offline store", section 6) asks for these tests of its repository, in
`sdk/python/tests/integration`. Carried over, with tables, views and an oracle of our own:

- offline_store/test_universal_historical_retrieval: several views at once (one and two keys, shared tables, none at
  all, mapped fields, on-demand, shadow entities), from frames and from SQL, by reference and by service, with and
  without full names; an unknown feature; missing request data; persisting; no ttl; backfills
- offline_store/test_universal_types: in `test_offline_types`
- offline_store/test_offline_write, test_push_features_to_offline_store: see also `test_pushing`
- offline_store/test_persist: in `test_offline_kept`; see also `test_saved_dataset`
- offline_store/test_non_entity_mode: see also `test_event_spine`
- offline_store/test_dqm_validation: validation against a saved dataset, with a profiler of our own; there, too
- materialization/test_universal_materialization: offline and online agree, in two steps, with and without
  `pull_latest_features`; there, too

Do not apply:

- offline_store/test_feature_logging and the logging half of test_dqm_validation: Feast's feature servers write such
  logs, which are not run here; features as they were used are kept by the scoring runs in `monitoring.feature_log`
- validation with Great Expectations: Feast 0.67 needs a release of it that is not among our dependencies
- to_remote_storage (test_universal_historical_retrieval, materialization/test_lambda, _snowflake, kubernetes, spark):
  the job does not say that it supports it, the lake is read where it lies
- on-demand views as Substrait plans: they need ibis; Feast runs them, the store has no part in it
- stores behind Feast's remote offline server, and those of one vendor (test_s3_custom_endpoint and the like)
- refusal by an exception of Feast's own (`SavedDatasetLocationAlreadyExists`): refusals are of our own families
"""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore, FeatureView, Field
from feast.errors import FeatureNameCollisionError, RequestDataNotFoundInEntityDfException
from feast.types import Int64

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from feature_repo.offline_source import DuckLakeSource
from tests.feature_repo.probe_store import open_store
from tests.feature_repo.universal_rows import (
    CHANNELS,
    COMPUTED,
    FEATURES,
    PAIRS,
    PLACES,
    SPINE,
    START,
    TABLES,
    TIMES,
    TTL,
    apply_views,
    channel,
    compute,
    expect,
    fill,
    look_up,
    show,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")


def test_the_data_is_worth_looking_at() -> None:
    """Or the comparisons below would compare nulls, and a cutoff or a ttl that does nothing."""
    rates = [row["rate"] for row in expect()]
    assert 10 < sum(rate is None for rate in rates) < 50
    assert [row["rate"] for row in expect(ttl=timedelta(0))] != rates
    assert [row["rate"] for row in expect(is_cut_off=True)] != rates
    assert all(any(row[name] is not None for row in expect()) for name in ("reply_count", "num_rides", "feature_name"))


@pytest.mark.parametrize("full", [True, False], ids=["full", "short"])
@pytest.mark.parametrize("is_cut_off", [True, False], ids=["known", "final"])
def test_several_views_are_joined_to_a_frame(universal: FeatureStore, *, full: bool, is_cut_off: bool) -> None:
    job = universal.get_historical_features(
        pd.DataFrame(SPINE),
        [*FEATURES, *COMPUTED],
        full_feature_names=full,
        filter_by_created_timestamp=is_cut_off,
    )
    expected = compute(expect(full=full, is_cut_off=is_cut_off), full=full)
    assert show(job.to_arrow()) == expected
    frame = job.to_df()
    assert sorted(frame.columns) == sorted(expected[0])
    assert frame["order_id"].tolist() == [row["order_id"] for row in SPINE]


@pytest.mark.parametrize("full", [True, False], ids=["full", "short"])
def test_several_views_are_joined_to_a_query(universal: FeatureStore, *, full: bool) -> None:
    query = "select * from features.u_spine order by order_id"
    job = universal.get_historical_features(query, [*FEATURES, *COMPUTED], full_feature_names=full)
    assert show(job.to_arrow()) == compute(expect(full=full), full=full)


@pytest.mark.parametrize("full", [True, False], ids=["full", "short"])
def test_a_service_gives_what_its_references_give(universal: FeatureStore, *, full: bool) -> None:
    spine = pd.DataFrame(SPINE)
    service = universal.get_feature_service("one")
    by_service = universal.get_historical_features(spine, service, full_feature_names=full).to_arrow()
    by_name = universal.get_historical_features(spine, ["channels:rate", *COMPUTED], full_feature_names=full).to_arrow()
    assert show(by_service.select(by_name.column_names)) == show(by_name)
    rate = "channels__rate" if full else "rate"
    assert by_service[rate].to_pylist() == [row[rate] for row in expect(full=full)]


def test_a_service_may_hold_a_view_without_keys(universal: FeatureStore) -> None:
    job = universal.get_historical_features(pd.DataFrame(SPINE), universal.get_feature_service("keyless"))
    found = [(row["num_rides"], row["daily_count"]) for row in job.to_arrow().to_pylist()]
    assert found == [(row["num_rides"], row["daily_count"]) for row in expect()]


def test_time_columns_under_mapped_names_are_valid(universal: FeatureStore) -> None:
    source = universal.get_data_source("features.u_mapped")
    assert (source.timestamp_field, source.created_timestamp_column) == ("ts", "known_at")
    source.validate(universal.config)


def test_one_view_serves_both_ends_of_a_row(universal: FeatureStore) -> None:
    spine = pd.DataFrame(SPINE)
    found = universal.get_historical_features(
        spine, universal.get_feature_service("both_ends"), full_feature_names=True
    )
    table = found.to_arrow()
    for end in ("origin", "destination"):
        rows = [look_up(PLACES, asked, {"place_id": f"{end}_id"}, ttl=TTL, is_cut_off=False) for asked in SPINE]
        assert table[f"{end}__temperature"].to_pylist() == [row.get("temperature") for row in rows]
    with pytest.raises(FeatureNameCollisionError, match="Duplicate features named temperature found"):
        universal.get_historical_features(spine, universal.get_feature_service("both_ends"))


def test_views_without_ttl_hold_for_ever(seed_home: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(seed_home, tmp_path / "home"))
    for name, (rows, types) in TABLES.items():
        fill(lake, name, rows, types | TIMES)
    store = apply_views(lake, timedelta(0))
    job = store.get_historical_features(pd.DataFrame(SPINE), FEATURES)
    assert show(job.to_arrow()) == expect(ttl=timedelta(0))


def test_a_feature_of_another_view_on_the_same_table_is_unknown(universal_lake: Lake) -> None:
    narrow = FeatureView(
        name="narrow",
        entities=[channel],
        schema=[Field(name="daily_count", dtype=Int64)],
        source=DuckLakeSource(table="features.u_channels"),
    )
    store = open_store(universal_lake)
    store.apply([channel, narrow])
    with pytest.raises(KeyError, match=r"rate|not found in projection"):
        store.get_historical_features(pd.DataFrame(SPINE), ["narrow:rate"]).to_df()


def test_missing_request_data_is_told(universal: FeatureStore) -> None:
    with pytest.raises(RequestDataNotFoundInEntityDfException, match="val_to_add"):
        universal.get_historical_features(pd.DataFrame(SPINE).drop(columns="val_to_add"), COMPUTED)
    # Of a query or a window Feast does not ask; the store does.
    words = r"computed is computed from \['val_to_add'\], which the spine lacks"
    with pytest.raises(BadData, match=words):
        universal.get_historical_features("select channel_id, event_timestamp from features.u_spine", COMPUTED)
    with pytest.raises(BadData, match=words):
        universal.get_historical_features(None, COMPUTED, start_date=START, end_date=START)


def test_the_later_created_of_two_rows_counts_but_not_before_a_newer_event(universal_lake: Lake) -> None:
    day = timedelta(days=1)
    backfilled = [  # channel, event, created, count
        (1, START, START, 10),
        (1, START, START + day, 20),
        (2, START, START + day, 30),
        (2, START + day, START, 40),
    ]
    names = ("channel_id", "event_timestamp", "created_timestamp", "daily_count")
    rows = [dict(zip(names, row, strict=True)) | {"ingest_seq": 1} for row in backfilled]
    fill(universal_lake, "u_backfilled", rows, {"channel_id": pa.int64(), "daily_count": pa.int64()} | TIMES)
    view = FeatureView(
        name="backfilled",
        entities=[channel],
        schema=[Field(name="daily_count", dtype=Int64)],
        source=DuckLakeSource(table="features.u_backfilled"),
    )
    store = open_store(universal_lake)
    store.apply([channel, view])
    spine = pd.DataFrame({"channel_id": [1, 2], "event_timestamp": [START + 2 * day] * 2})
    for is_cut_off in (True, False):
        job = store.get_historical_features(spine, ["backfilled:daily_count"], filter_by_created_timestamp=is_cut_off)
        assert job.to_arrow()["daily_count"].to_pylist() == [20, 40]


@pytest.mark.parametrize("is_cut_off", [True, False], ids=["known", "final"])
def test_without_a_spine_every_key_and_event_of_the_window_comes(universal: FeatureStore, *, is_cut_off: bool) -> None:
    first, last = START + timedelta(days=1), START + timedelta(days=3)
    job = universal.get_historical_features(
        None,
        ["channels:daily_count", "pairs:reply_count"],
        start_date=first,
        end_date=last,
        filter_by_created_timestamp=is_cut_off,
    )
    keys = {
        (row["event_timestamp"], row["channel_id"], row.get("author_id"))
        for row in [*CHANNELS, *PAIRS]
        if first <= row["event_timestamp"] <= last
    }
    expected = []
    for instant, channel_id, author_id in sorted(keys, key=lambda key: (key[0], key[1], key[2] or "")):
        asked = {"channel_id": channel_id, "author_id": author_id, "event_timestamp": instant}
        both = {"channel_id": "channel_id", "author_id": "author_id"}
        count = look_up(CHANNELS, asked, {"channel_id": "channel_id"}, ttl=TTL, is_cut_off=is_cut_off)
        pair = look_up(PAIRS, asked, both, ttl=TTL, is_cut_off=is_cut_off)
        expected.append(asked | {"daily_count": count.get("daily_count"), "reply_count": pair.get("reply_count")})
    assert len(expected) > 40
    assert show(job.to_arrow()) == expected
