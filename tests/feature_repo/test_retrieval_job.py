"""A planned retrieval, run in each of the ways there are; and what is said when it cannot run."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake
from tests.feature_repo.probe_store import ask, at, build_spine, open_store, source

SQL = """
    select * from (values ('b', timestamptz '2026-01-05 13:00'), ('a', timestamptz '2026-01-05 11:00'), ('c', null))
    as rows (channel_id, event_timestamp);
"""


def test_a_job_gives_the_same_as_table_frame_batches_and_sql(store: FeatureStore, counts_lake: Lake) -> None:
    job = ask(store, SQL, "counts:daily_count", "fresh_counts:weekly_count")
    table = job.to_arrow()
    assert table.column_names == ["channel_id", "event_timestamp", "daily_count", "weekly_count"]
    assert table["daily_count"].to_pylist() == [22, 13, None]
    batches = list(job.to_record_batches(rows_per_batch=2))
    assert [batch.num_rows for batch in batches] == [2, 1]
    assert pa.Table.from_batches(batches) == table
    pd.testing.assert_frame_equal(job.to_df(), table.to_pandas())
    with read_lake(counts_lake) as connection:
        assert connection.execute(job.to_sql()).to_arrow_table() == table


def test_the_sql_of_a_frame_reads_it_under_its_name(store: FeatureStore, counts_lake: Lake) -> None:
    rows = build_spine(("a", at("12:00")))
    job = ask(store, rows)
    with read_lake(counts_lake) as connection:
        connection.register("entity_df", rows)
        assert connection.execute(job.to_sql()).fetchall() == [("a", at("12:00"), 0, 13)]


@pytest.mark.parametrize(
    ("entity_df", "keys", "first", "last"),
    [
        (build_spine(("a", at("12:00")), ("b", at("09:00"))), ["channel_id", "number"], at("09:00"), at("12:00")),
        (SQL, ["channel_id"], at("11:00"), at("13:00")),
        (build_spine(("a", None)), ["channel_id", "number"], None, None),
    ],
    ids=["frame", "sql", "no instant"],
)
def test_a_job_describes_its_spine(store: FeatureStore, entity_df: Any, keys: list[str], first: Any, last: Any) -> None:
    found = ask(store, entity_df).metadata
    assert found is not None
    assert (found.features, found.keys) == (["counts:daily_count"], keys)
    assert (found.min_event_timestamp, found.max_event_timestamp) == (first, last)


def test_a_key_of_another_type_is_told(store: FeatureStore) -> None:
    rows = build_spine(("a", at("12:00"))).assign(channel_id=7)
    with pytest.raises(BadData, match="spine's types do not fit those of the lake's tables: Conversion Error"):
        ask(store, rows).to_arrow()


def test_a_file_that_is_gone_is_told(own_lake: Lake) -> None:
    job = ask(open_store(own_lake), SQL)
    folder = Path(own_lake.storage.data) / "features" / "counts"
    for file in folder.glob("*.parquet"):
        file.unlink()
    with pytest.raises(Unavailable, match="a file could not be read; try again: IO Error"):
        job.to_arrow()


def test_rows_that_are_read_as_they_are_have_no_metadata(store: FeatureStore) -> None:
    job = store._get_provider().offline_store.pull_all_from_table_or_query(
        store.config, source, ["channel_id"], ["n_1d"], "event_timestamp"
    )
    assert job.metadata is None
    assert (job.full_feature_names, job.on_demand_feature_views) == (False, [])
