"""Types of retrieved features and of inferred keys, in Arrow and in pandas, as Feast expects them of any store."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureView
from feast.value_type import ValueType

from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from tests.feature_repo.probe_store import open_store

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")

START = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")

channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.INT64)


@pytest.fixture(scope="module")
def typed_lake(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("types") / "home"))


KINDS = [  # type in the lake, three values of it, type in Arrow, whether pandas shows the type as this one
    ("integer", "(1), (-7), (2147483647)", pa.int32(), pd.api.types.is_integer_dtype),
    ("bigint", "(1), (-7), (9223372036854775807)", pa.int64(), pd.api.types.is_integer_dtype),
    ("float", "(1.5), (-7), (0)", pa.float32(), pd.api.types.is_float_dtype),
    ("double", "(1.5), (-7), (1e300)", pa.float64(), pd.api.types.is_float_dtype),
    ("varchar", "('a'), (''), ('ü😀')", pa.string(), pd.api.types.is_object_dtype),
    ("boolean", "(true), (false), (true)", pa.bool_(), pd.api.types.is_bool_dtype),
    ("blob", "('a'::blob), (''::blob), ('\\xff'::blob)", pa.binary(), pd.api.types.is_object_dtype),
    (
        "timestamptz",
        "('1970-01-01 00:00:00+00'), ('2024-02-29 23:59:59.999999+00'), ('2200-01-01 00:00:00+02')",
        INSTANT,
        pd.api.types.is_datetime64_any_dtype,
    ),
    ("integer[]", "([1, 2]), ([]), ([-3])", pa.list_(pa.int32()), pd.api.types.is_object_dtype),
    ("uinteger[]", "([1, 4294967295]), ([]), ([3])", pa.list_(pa.uint32()), pd.api.types.is_object_dtype),
    ("double[]", "([0.5]), ([]), ([1e300])", pa.list_(pa.float64()), pd.api.types.is_object_dtype),
    ("varchar[]", "(['a', '']), ([]), (['b'])", pa.list_(pa.string()), pd.api.types.is_object_dtype),
    ("boolean[]", "([true]), ([]), ([false])", pa.list_(pa.bool_()), pd.api.types.is_object_dtype),
    (
        "timestamptz[]",
        "(['2026-01-01 00:00:00+00']), ([]), ([])",
        pa.list_(INSTANT),
        pd.api.types.is_object_dtype,
    ),
]


@pytest.mark.parametrize(("sql_type", "values", "arrow_type", "is_kind"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_feature_keeps_its_type_and_values(
    typed_lake: Lake, sql_type: str, values: str, arrow_type: pa.DataType, is_kind: Any
) -> None:
    with write_lake(typed_lake, purpose="a test") as connection:
        connection.execute(
            f"create or replace table features.u_typed as select row_number() over () as channel_id, "
            "timestamptz '2026-03-01 00:00:00+00' as event_timestamp, 1::bigint as ingest_seq, "
            f"value::{sql_type} as value from (values {values}) as given (value)"
        )
        expected = connection.execute("select value from features.u_typed order by channel_id").to_arrow_table()
    source = DuckLakeSource(table="features.u_typed", created_timestamp_column="")
    view = FeatureView(name="typed", entities=[channel], source=source)
    store = open_store(typed_lake)
    store.apply([channel, view])
    spine = pd.DataFrame({"channel_id": [1, 2, 3], "event_timestamp": [START] * 3})
    job = store.get_historical_features(spine, ["typed:value"])
    table = job.to_arrow()
    assert table.schema.field("value").type == arrow_type
    assert table["value"].to_pylist() == expected["value"].to_pylist()
    assert is_kind(job.to_df().dtypes["value"])
    assert [field.name for field in store.get_feature_view("typed").features] == ["value"]


@pytest.mark.parametrize(
    ("sql_type", "expected"), [("integer", {"Int32"}), ("bigint", {"Int64"}), ("varchar", {"String"})]
)
def test_the_type_of_a_key_is_inferred(typed_lake: Lake, sql_type: str, expected: set[str]) -> None:
    with write_lake(typed_lake, purpose="a test") as connection:
        connection.execute(
            f"create or replace table features.u_keyed as select 1::{sql_type} as key_id, 0.5::double as value, "
            "timestamptz '2026-03-01 00:00:00+00' as event_timestamp, 1::bigint as ingest_seq"
        )
    untyped = Entity(name="untyped", join_keys=["key_id"])
    source = DuckLakeSource(table="features.u_keyed", created_timestamp_column="", age_column="age_hours")
    view = FeatureView(name="keyed", entities=[untyped], source=source)
    store = open_store(typed_lake)
    store.apply([untyped, view])
    found = store.get_feature_view("keyed")
    assert {str(column.dtype) for column in found.entity_columns} == expected
    assert [(field.name, str(field.dtype)) for field in found.features] == [
        ("value", "Float64"),
        ("age_hours", "Float64"),
    ]
