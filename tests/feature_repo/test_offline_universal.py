"""What Feast expects of any offline store, as its universal tests for plug-in authors say it, in our own words.

Feast's guide for authors ("Adding a new offline store", section 6) asks for these tests of its repository, in
`sdk/python/tests/integration`. Carried over, with tables, views and an oracle of our own:

- offline_store/test_universal_historical_retrieval: several views at once (one and two keys, shared tables, none at
  all, mapped fields, on-demand, shadow entities), from frames and from SQL, by reference and by service, with and
  without full names; an unknown feature; missing request data; persisting; no ttl; backfills
- offline_store/test_universal_types: in `test_offline_types`
- offline_store/test_offline_write, test_push_features_to_offline_store: see also `test_pushing`
- offline_store/test_persist: see also `test_saved_dataset`
- offline_store/test_non_entity_mode: see also `test_event_spine`
- offline_store/test_dqm_validation: validation against a saved dataset, with a profiler of our own
- materialization/test_universal_materialization: offline and online agree, in two steps, with and without
  `pull_latest_features`

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
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RequestSource
from feast.dqm.errors import ValidationFailed
from feast.dqm.profilers.profiler import Profile, Profiler
from feast.errors import FeatureNameCollisionError, RequestDataNotFoundInEntityDfException
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
from feast.value_type import ValueType

from feature_repo.errors import BadData, Refused
from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from feature_repo.saved_dataset import SavedDatasetDuckLakeStorage
from tests.feature_repo.probe_store import open_store

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")

START = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
TIMES = {"event_timestamp": INSTANT, "created_timestamp": INSTANT, "ingest_seq": pa.int64()}
Row = dict[str, Any]

channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.INT64)
author = Entity(name="author", join_keys=["author_id"], value_type=ValueType.STRING)
place = Entity(name="place", join_keys=["place_id"], value_type=ValueType.INT64)


def make_rows(random: Random, count: int, **draw: Any) -> list[Row]:
    """Rows at instants that differ from each other, in no order, known up to two hours after their event."""
    minutes = random.sample(range(5 * 24 * 60), count)
    return [
        {name: pick(random) for name, pick in draw.items()}
        | {
            "event_timestamp": START + timedelta(minutes=minute),
            "created_timestamp": START + timedelta(minutes=minute + random.choice([0, 0, 30, 120])),
            "ingest_seq": 1,
        }
        for minute in minutes
    ]


DRAW = Random(11)  # noqa: S311 - rows, not keys
CHANNELS = make_rows(
    DRAW,
    80,
    channel_id=lambda random: random.randrange(4),
    rate=lambda random: random.random(),
    daily_count=lambda random: random.randrange(100),
)
PAIRS = make_rows(
    DRAW,
    80,
    channel_id=lambda random: random.randrange(4),
    author_id=lambda random: random.choice("xyz"),
    reply_count=lambda random: random.choice([None, 1, 2]),
)
PLACES = make_rows(
    DRAW, 40, place_id=lambda random: random.randrange(3), temperature=lambda random: random.uniform(-9, 30)
)
WORLD = make_rows(DRAW, 20, num_rides=lambda random: random.randrange(1000))
MAPPED = make_rows(DRAW, 20, column_name=lambda random: random.randrange(1000))
SPINE: list[Row] = [
    {
        "order_id": number,
        "channel_id": DRAW.randrange(5),
        "author_id": DRAW.choice("xyzw"),
        "origin_id": DRAW.randrange(4),
        "destination_id": DRAW.randrange(4),
        "val_to_add": number,
        "event_timestamp": START + timedelta(minutes=DRAW.randrange(-600, 6 * 24 * 60)),
    }
    for number in range(60)
]
TABLES: dict[str, tuple[list[Row], dict[str, Any]]] = {
    "u_channels": (CHANNELS, {"channel_id": pa.int64(), "rate": pa.float64(), "daily_count": pa.int64()}),
    "u_pairs": (PAIRS, {"channel_id": pa.int64(), "author_id": pa.string(), "reply_count": pa.int64()}),
    "u_places": (PLACES, {"place_id": pa.int64(), "temperature": pa.float64()}),
    "u_world": (WORLD, {"num_rides": pa.int64()}),
    "u_mapped": (MAPPED, {"column_name": pa.int64()}),
}


def build_views(ttl: timedelta) -> dict[str, FeatureView]:
    def build(name: str, table: str, entities: list[Entity], fields: dict[str, Any], **source: Any) -> FeatureView:
        schema = [Field(name=field, dtype=dtype) for field, dtype in fields.items()]
        return FeatureView(
            name=name,
            entities=entities,
            schema=schema,
            ttl=ttl,
            source=DuckLakeSource(table=f"features.{table}", **source),
        )

    # Time columns have names of their own to Feast, as in its own tests.
    mapping = {"column_name": "feature_name", "event_timestamp": "ts", "created_timestamp": "known_at"}
    times = {"timestamp_field": "ts", "created_timestamp_column": "known_at"}
    return {
        "channels": build("channels", "u_channels", [channel], {"rate": Float64, "daily_count": Int64}),
        "pairs": build("pairs", "u_pairs", [channel, author], {"reply_count": Int64}),
        "places": build("places", "u_places", [place], {"temperature": Float64}),
        "world": build("world", "u_world", [], {"num_rides": Int64}),
        "mapped": build("mapped", "u_mapped", [], {"feature_name": Int64}, field_mapping=mapping, **times),
    }


TTL = timedelta(days=1)
VIEWS = build_views(TTL)


@on_demand_feature_view(
    sources=[VIEWS["channels"], RequestSource(name="asked", schema=[Field(name="val_to_add", dtype=Int64)])],
    schema=[Field(name="rate_plus_100", dtype=Float64), Field(name="rate_plus_val", dtype=Float64)],
)
def computed(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"rate_plus_100": frame["rate"] + 100, "rate_plus_val": frame["rate"] + frame["val_to_add"]})


SERVICE = FeatureService(name="one", features=[VIEWS["channels"][["rate"]], computed])
KEYLESS = FeatureService(name="keyless", features=[VIEWS["world"], VIEWS["channels"][["daily_count"]]])
MAPPING = FeatureService(
    name="both_ends",
    features=[
        VIEWS["places"].with_name("origin").with_join_key_map({"place_id": "origin_id"}),
        VIEWS["places"].with_name("destination").with_join_key_map({"place_id": "destination_id"}),
    ],
)
FEATURES = ["channels:rate", "channels:daily_count", "pairs:reply_count", "world:num_rides", "mapped:feature_name"]
COMPUTED = ["computed:rate_plus_100", "computed:rate_plus_val"]


def fill(lake: Lake, name: str, rows: list[Row], types: dict[str, Any]) -> None:
    with write_lake(lake, purpose="a test") as connection:
        connection.register("given", pa.Table.from_pylist(rows, schema=pa.schema(types)))
        connection.execute(f"create table features.{name} as from given")


def apply_views(lake: Lake, ttl: timedelta = TTL) -> FeatureStore:
    store = open_store(lake)
    views = VIEWS if ttl == TTL else build_views(ttl)
    store.apply([channel, author, place, *views.values(), computed, SERVICE, KEYLESS, MAPPING])
    return store


@pytest.fixture(scope="module")
def universal_lake(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("universal") / "home"))
    for name, (rows, types) in TABLES.items():
        fill(lake, name, rows, types | TIMES)
    spine_types = {name: pa.string() if name == "author_id" else pa.int64() for name in SPINE[0]}
    fill(lake, "u_spine", SPINE, spine_types | {"event_timestamp": INSTANT})
    apply_views(lake)
    return lake


@pytest.fixture(scope="module")
def universal(universal_lake: Lake) -> FeatureStore:
    return open_store(universal_lake)


def look_up(rows: list[Row], asked: Row, keys: dict[str, str], *, ttl: timedelta, is_cut_off: bool) -> Row:
    """The oracle: the newest row of the keys at the instant, the later created of two with the same event."""
    instant = asked["event_timestamp"]
    known = [
        row
        for row in rows
        if all(row[inside] == asked[outside] for inside, outside in keys.items())
        and row["event_timestamp"] <= instant
        and (row["created_timestamp"] <= instant or not is_cut_off)
    ]
    newest = max(known, key=lambda row: (row["event_timestamp"], row["created_timestamp"]), default={})
    return newest if newest and (not ttl or newest["event_timestamp"] >= instant - ttl) else {}


def expect(*, full: bool = False, ttl: timedelta = TTL, is_cut_off: bool = False) -> list[Row]:
    """The values of `FEATURES` for each row of the spine, under the names of a result."""
    sought = [
        ("channels", CHANNELS, {"channel_id": "channel_id"}, {"rate": "rate", "daily_count": "daily_count"}),
        ("pairs", PAIRS, {"channel_id": "channel_id", "author_id": "author_id"}, {"reply_count": "reply_count"}),
        ("world", WORLD, {}, {"num_rides": "num_rides"}),
        ("mapped", MAPPED, {}, {"column_name": "feature_name"}),
    ]
    expected = []
    for asked in SPINE:
        found: Row = {}
        for view, rows, keys, names in sought:
            row = look_up(rows, asked, keys, ttl=ttl, is_cut_off=is_cut_off)
            found |= {f"{view}__{name}" if full else name: row.get(column) for column, name in names.items()}
        expected.append(asked | found)
    return expected


def compute(rows: list[Row], *, full: bool) -> list[Row]:
    """What the on-demand view adds to expected rows."""
    prefix, rate = ("computed__", "channels__rate") if full else ("", "rate")
    added = []
    for row in rows:
        known = row[rate] is not None
        values = {"rate_plus_100": row[rate] + 100, "rate_plus_val": row[rate] + row["val_to_add"]} if known else {}
        added.append(row | {prefix + name: values.get(name) for name in ("rate_plus_100", "rate_plus_val")})
    return added


def show(table: pa.Table) -> list[Row]:
    """The rows of a result, not-a-number (pandas' null, in on-demand views) as None."""
    return [
        {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


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


@pytest.mark.parametrize("full", [True, False], ids=["full", "short"])
def test_what_is_persisted_is_what_was_retrieved(universal: FeatureStore, *, full: bool) -> None:
    job = universal.get_historical_features(pd.DataFrame(SPINE), FEATURES, full_feature_names=full)
    storage = SavedDatasetDuckLakeStorage(f"kept_{full}".lower())
    saved = universal.create_saved_dataset(job, "kept", storage, tags={"env": "test"}, allow_overwrite=True)
    assert show(saved.to_arrow()) == expect(full=full)
    again = universal.get_saved_dataset("kept")
    assert again.tags == {"env": "test"}
    pd.testing.assert_frame_equal(again.to_df(), job.to_df())
    with pytest.raises(Refused, match="it stays"):
        universal.create_saved_dataset(job, "kept", storage)


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


@pytest.mark.parametrize("is_latest", [True, False], ids=["latest", "all"])
def test_online_holds_what_offline_knew_at_the_end_of_the_window(
    universal_lake: Lake, tmp_path: Path, *, is_latest: bool
) -> None:
    store = open_store(Lake(shutil.copytree(universal_lake.home, tmp_path / "home")))
    store.config.materialization_config.pull_latest_features = is_latest
    sought: list[tuple[str, str, list[Row], dict[str, str], str]] = [
        ("channels", "daily_count", CHANNELS, {"channel_id": "channel_id"}, "daily_count"),
        ("world", "num_rides", WORLD, {}, "num_rides"),
        ("mapped", "feature_name", MAPPED, {}, "column_name"),
    ]
    if not is_latest:  # Feast 0.67 then keeps one row per key itself: any row of a view that has no key
        sought = sought[:1]
    start = START
    for end in (START + timedelta(days=3), START + timedelta(days=6)):
        store.materialize(start, end, [view for view, *_ in sought])
        start = end
        asked = [{"channel_id": number} for number in range(5)]
        names = [f"{view}:{name}" for view, name, *_ in sought]
        online = store.get_online_features(names, asked).to_dict()
        for _, name, table, keys, column in sought:
            rows = [row | {"event_timestamp": end} for row in asked]
            found = [look_up(table, row, keys, ttl=timedelta(0), is_cut_off=is_latest) for row in rows]
            assert online[name] == [row.get(column) for row in found]


class CountProfiler(Profiler):  # type: ignore[misc]  # Feast ships no types
    """The smallest profiler: a set must be as long as the one it is compared with."""

    def analyze_dataset(self, dataset: pd.DataFrame) -> "CountProfile":
        return CountProfile(len(dataset))


class CountProfile(Profile):  # type: ignore[misc]  # Feast ships no types
    def __init__(self, expected: int) -> None:
        self.expected = expected

    def validate(self, dataset: pd.DataFrame) -> Any:
        return type("Report", (), {"is_success": len(dataset) == self.expected, "errors": []})()


def test_a_retrieval_is_validated_against_a_saved_dataset(universal: FeatureStore) -> None:
    spine = pd.DataFrame(SPINE)
    job = universal.get_historical_features(spine, FEATURES)
    universal.create_saved_dataset(job, "reference", SavedDatasetDuckLakeStorage("reference"), allow_overwrite=True)
    reference = universal.get_saved_dataset("reference").as_reference("ref", CountProfiler())
    assert len(job.to_df(validation_reference=reference)) == len(SPINE)
    shorter = universal.get_historical_features(spine.head(3), FEATURES)
    with pytest.raises(ValidationFailed):
        shorter.to_df(validation_reference=reference)
