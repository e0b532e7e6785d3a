"""Tables of several kinds of key, views on them, and an oracle that joins them a second, plain way."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
from feast.value_type import ValueType

from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from tests.feature_repo.probe_store import open_store

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
