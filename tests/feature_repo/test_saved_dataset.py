"""Saved datasets: what a retrieval gave, kept as it was."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore, Field, RequestSource
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

from feature_repo.errors import BadData, Refused
from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import read_value_type
from feature_repo.saved_dataset import SavedDatasetDuckLakeStorage, SavedDatasetSource, write_dataset
from tests.feature_repo.probe_store import ask, at, build_spine, channel, counts, open_store, source

pytestmark = pytest.mark.filterwarnings("ignore:.* is an experimental feature:RuntimeWarning")

ROWS = build_spine(("b", at("13:00")), (None, at("12:00")), ("a", at("11:00")), ("a", at("11:00")), ("a", None))
SQL = "select 'b' as channel_id, timestamptz '2026-01-05 13:00' as event_timestamp, 'spam' as label"


def save(store: FeatureStore, entity_df: Any = ROWS, name: str = "first", **options: Any) -> pa.Table:
    """Save the counts of a spine, and return what Feast reads back at once."""
    job = ask(store, entity_df, "counts:daily_count", "counts:count_age_hours")
    return store.create_saved_dataset(job, name, SavedDatasetDuckLakeStorage(name), **options).to_arrow()


@pytest.mark.parametrize("entity_df", [ROWS, SQL], ids=["frame", "sql"])
def test_a_dataset_is_the_result_whole_and_in_its_order(own_lake: Lake, entity_df: Any) -> None:
    store = open_store(own_lake)
    expected = ask(store, entity_df, "counts:daily_count", "counts:count_age_hours").to_arrow()
    assert save(store, entity_df) == expected
    found = open_store(own_lake).get_saved_dataset("first")
    pd.testing.assert_frame_equal(found.to_df(), expected.to_pandas())
    assert found.features == ["counts:daily_count", "counts:count_age_hours"]
    assert found.join_keys == ["channel_id"]
    assert found.storage == SavedDatasetDuckLakeStorage("first")


def test_a_dataset_of_many_batches_keeps_its_order(own_lake: Lake) -> None:
    store = open_store(own_lake)
    spine = (
        "select 'a' as channel_id, hash(i) as number, timestamptz '2026-01-05 09:00:00+00' + to_minutes(i % 200) as "
        "event_timestamp from range(250000) as rows (i) order by hash(i)"
    )
    save(store, spine)
    found = store.get_saved_dataset("first").to_arrow()
    assert found == ask(store, spine, "counts:daily_count", "counts:count_age_hours").to_arrow()
    assert found["number"].to_numpy().tolist() == sorted(found["number"].to_numpy().tolist())
    assert found.num_rows == 250_000


def test_a_dataset_lies_below_the_home_as_one_zstd_file(own_lake: Lake) -> None:
    save(open_store(own_lake))
    file = own_lake.home / "datasets" / "first.parquet"
    assert list(file.parent.iterdir()) == [file]
    assert list(own_lake.staging.iterdir()) == []
    assert pa.parquet.read_metadata(file).row_group(0).column(0).compression == "ZSTD"


def test_a_dataset_stays_as_it_was_when_the_lake_goes_on(own_lake: Lake) -> None:
    store = open_store(own_lake)
    before = save(store)
    with write_lake(own_lake, purpose="a test") as connection:
        connection.execute("delete from features.counts")
    assert store.get_saved_dataset("first").to_arrow() == before
    assert save(store, name="second")["daily_count"].null_count == len(ROWS)


def test_a_dataset_is_overwritten_only_on_request(own_lake: Lake) -> None:
    store = open_store(own_lake)
    before = save(store)
    with pytest.raises(Refused, match=r"a saved dataset at .*/datasets/first\.parquet; it stays\. Choose another"):
        save(store, SQL)
    assert store.get_saved_dataset("first").to_arrow() == before
    after = save(store, SQL, allow_overwrite=True)
    assert after.num_rows == 1
    assert store.get_saved_dataset("first").to_arrow() == after


def test_it_is_refused_before_anything_is_looked_up(own_lake: Lake) -> None:
    save(open_store(own_lake))
    hopeless = ask(open_store(own_lake, snapshot=9999), SQL)
    with pytest.raises(Refused, match="it stays"):
        hopeless.persist(SavedDatasetDuckLakeStorage("first"))
    with pytest.raises(BadData, match="No snapshot found at version 9999"):
        hopeless.persist(SavedDatasetDuckLakeStorage("first"), allow_overwrite=True)


def test_of_two_that_write_the_same_dataset_one_is_refused(own_lake: Lake) -> None:
    path = own_lake.home / "datasets" / "first.parquet"
    theirs, ours = pa.table({"x": [1]}), pa.table({"x": [2]})

    def interrupt() -> Any:
        """The other one is done while we still read."""
        write_dataset(own_lake, path, theirs.to_reader(), allow_overwrite=False)
        yield from ours.to_batches()

    reader = pa.RecordBatchReader.from_batches(ours.schema, interrupt())
    with pytest.raises(Refused, match="it stays"):
        write_dataset(own_lake, path, reader, allow_overwrite=False)
    assert pa.parquet.read_table(path) == theirs


def test_a_retrieval_that_breaks_leaves_nothing(own_lake: Lake) -> None:
    path = own_lake.home / "datasets" / "first.parquet"

    def breaks() -> Any:
        yield pa.record_batch({"x": [1]})
        raise BadData("broken on the way")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), breaks())
    with pytest.raises(BadData, match="broken on the way"):
        write_dataset(own_lake, path, reader, allow_overwrite=False)
    assert not path.exists()
    assert list(own_lake.staging.iterdir()) == []


def test_values_of_on_demand_views_are_kept(own_lake: Lake) -> None:
    @on_demand_feature_view(
        sources=[counts, RequestSource(name="request", schema=[Field(name="number", dtype=Int64)])],
        schema=[Field(name="more", dtype=Int64)],
    )
    def added(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"more": frame["daily_count"] + frame["number"]})

    store = open_store(own_lake)
    store.apply([channel, source, counts, added])
    rows = build_spine(("b", at("13:00")), ("a", at("12:00")))
    job = ask(store, rows, "counts:daily_count", "added:more")
    store.create_saved_dataset(job, "computed", SavedDatasetDuckLakeStorage("computed"))
    found = store.get_saved_dataset("computed").to_df()
    assert found["more"].tolist() == [22, 14]
    assert found["daily_count"].tolist() == [22, 13]


def test_the_registry_tells_the_storage_to_a_process_that_never_saw_it(own_lake: Lake) -> None:
    save(open_store(own_lake))
    code = (
        "import json, sys; from pathlib import Path; from feast import FeatureStore, RepoConfig\n"
        "store = FeatureStore(config=RepoConfig(**json.loads(sys.argv[1])))\n"
        "print(len(store.get_saved_dataset('first').to_df()))"
    )
    config = open_store(own_lake).config
    given = {
        "project": "probe",
        "provider": "local",
        "registry": config.registry.path,
        "offline_store": {"type": config.offline_store.type, "home": str(own_lake.home)},
        "online_store": {"type": "sqlite", "path": config.online_store.path},
        "entity_key_serialization_version": 3,
    }
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, json.dumps(given)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert found.stdout.split()[-1:] == [str(len(ROWS))], found.stderr


@pytest.mark.parametrize("name", ["", "../outside", "a/b", "Big", "a b", "-x", "x" * 101, "a.parquet", "a\n"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(BadData, match="up to 100 lower-case letters, digits, _ and -, and begins with"):
        SavedDatasetDuckLakeStorage(name)


@pytest.mark.parametrize("rows", [build_spine(), build_spine(("a", None))], ids=["empty", "no instant"])
def test_a_result_without_an_instant_is_not_kept(own_lake: Lake, rows: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="needs a row with an instant, found none in the spine; nothing was kept"):
        save(open_store(own_lake), rows)
    assert not (own_lake.home / "datasets").exists()


def test_another_kind_of_storage_is_refused(store: FeatureStore, tmp_path: Path) -> None:
    storage = SavedDatasetFileStorage(str(tmp_path / "x.parquet"))
    with pytest.raises(BadData, match="found a SavedDatasetFileStorage; use SavedDatasetDuckLakeStorage"):
        ask(store, SQL).persist(storage)


def test_a_dataset_whose_file_is_gone_is_told(own_lake: Lake) -> None:
    store = open_store(own_lake)
    save(store)
    (own_lake.home / "datasets" / "first.parquet").unlink()
    with pytest.raises(BadData, match=r"no saved dataset 'first' at .*; it was deleted, or saved in another lake"):
        store.get_saved_dataset("first")


def test_a_dataset_is_a_source_that_feast_can_look_into(own_lake: Lake) -> None:
    store = open_store(own_lake)
    save(store, SQL)
    store.registry.apply_data_source(SavedDatasetSource(name="first"), store.project)
    found = store.get_data_source("first")
    assert isinstance(found, SavedDatasetSource)
    found.validate(store.config)
    types = dict(found.get_table_column_names_and_types(store.config))
    assert types == {
        "channel_id": "varchar",
        "event_timestamp": "timestamptz",
        "label": "varchar",
        "daily_count": "bigint",
        "count_age_hours": "double",
    }
    assert {found.source_datatype_to_feast_value_type()(kind) for kind in types.values()} == {
        read_value_type(kind) for kind in types.values()
    }
