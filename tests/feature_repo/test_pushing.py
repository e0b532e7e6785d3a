"""Rows written through Feast: they arrive whole, under a number of their own, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore, FeatureView, Field, PushSource
from feast.data_source import PushMode
from feast.types import Int64

from feature_repo import ledger
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from feature_repo.pushing import Target, append_rows
from tests.feature_repo.probe_store import ask, at, build_spine, channel, counts, open_store, read_values, source

TARGET = Target("features.counts", "ingest_seq", required=("channel_id", "event_timestamp"))


def build_rows(**overrides: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n_7d": [70, None],
            "n_1d": [30, 31],
            "created_timestamp": [pd.NaT, at("15:00")],
            "event_timestamp": [at("14:00"), at("14:30")],
            "channel_id": ["a", "c"],
            "age": [0.0, 0.0],
        }
        | overrides
    )


def read_version(lake: Lake) -> int:
    with read_lake(lake) as connection:
        return ledger.read_data_version(connection)


def count_rows(lake: Lake) -> int:
    with read_lake(lake) as connection:
        return int(connection.execute("select count(*) from features.counts").fetchall()[0][0])


def test_what_is_written_is_found_at_its_instant(own_lake: Lake) -> None:
    store = open_store(own_lake)
    spine = build_spine(("a", at("13:59")), ("a", at("14:00")), ("c", at("14:59")), ("c", at("15:00")))
    assert read_values(ask(store, spine)) == [13, 13, None, None]
    store.write_to_offline_store("counts", build_rows())
    job = ask(store, spine, "counts:daily_count", "counts:weekly_count", "counts:count_age_hours")
    assert read_values(job) == [13, 30, None, 31]
    assert read_values(job, "weekly_count") == [None, 70, None, None]
    assert read_values(job, "count_age_hours") == [2 + 59 / 60, 0.0, None, 0.5]


def test_each_write_is_a_batch_that_the_data_version_counts(own_lake: Lake) -> None:
    store = open_store(own_lake)
    assert read_version(own_lake) == 0
    store.write_to_offline_store("counts", build_rows())
    store.write_to_offline_store("counts", build_rows(n_1d=[40, 41]))
    assert read_version(own_lake) == 2
    spine = build_spine(("c", at("15:00")))
    assert [read_values(ask(open_store(own_lake, data_version=seen), spine)) for seen in range(3)] == [
        [None],
        [31],
        [41],  # the same instants: the later batch counts
    ]
    with read_lake(own_lake) as connection:
        found = connection.execute(
            "select run_id, kind, outcome, rows_out, data_version, details->>'table' from ops.runs order by 5"
        ).fetchall()
    assert found == [(f"push-features.counts-{n}", "push", "done", 2, n, "features.counts") for n in (1, 2)]


def test_a_number_is_never_given_twice(own_lake: Lake) -> None:
    instant = at("00:00")
    with write_lake(own_lake, purpose="a test") as connection:
        for kind, number in (("ingest", 7), ("revert", 8), ("score", 99)):
            run = ledger.Run(run_id=kind, kind=kind, started_at=instant, ended_at=instant, data_version=number)
            ledger.append_run(connection, run)
    open_store(own_lake).write_to_offline_store("counts", build_rows())
    assert read_version(own_lake) == 9


def test_pushed_rows_reach_the_table_behind_the_push_source(own_lake: Lake) -> None:
    pushed = PushSource(name="pushed", batch_source=DuckLakeSource(table="features.counts", name="plain"))
    view = FeatureView(
        name="pushed_counts", entities=[channel], schema=[Field(name="n_1d", dtype=Int64)], source=pushed
    )
    store = open_store(own_lake)
    store.apply([channel, pushed, view])
    # Feast's SQLite store takes no row without a created instant.
    rows = build_rows(created_timestamp=[at("14:00"), at("15:00")]).drop(columns="age")
    store.push("pushed", rows, to=PushMode.ONLINE_AND_OFFLINE)
    assert read_values(ask(store, build_spine(("c", at("15:00"))), "pushed_counts:n_1d"), "n_1d") == [31]
    assert store.get_online_features(["pushed_counts:n_1d"], [{"channel_id": "a"}]).to_dict()["n_1d"] == [30]


def test_a_view_without_keys_is_written_too(own_lake: Lake) -> None:
    store = open_store(own_lake)
    fields = [Field(name="daily_count", dtype=Int64)]
    store.apply([FeatureView(name="any_channel", entities=[], schema=fields, source=source)])
    store.write_to_offline_store("any_channel", build_rows())
    assert read_values(ask(store, build_spine((None, at("14:00"))), "any_channel:daily_count")) == [30]


def test_instants_without_a_zone_are_utc_and_a_kept_index_is_not_a_column(own_lake: Lake) -> None:
    naive = [datetime(2026, 1, 5, 14), datetime(2026, 1, 5, 15)]  # noqa: DTZ001 - that is the point
    rows = build_rows(event_timestamp=naive, created_timestamp=[None, None])
    store = open_store(own_lake)
    store.write_to_offline_store("counts", rows[rows["channel_id"] == "c"])
    assert read_values(ask(store, build_spine(("c", at("14:59")), ("c", at("15:00"))))) == [None, 31]


def write_batch(store: FeatureStore, rows: pd.DataFrame) -> list[int]:
    """Write as a provider does, without Feast's own look at the columns; returns what progress was told."""
    told: list[int] = []
    store._get_provider().offline_write_batch(store.config, counts, pa.Table.from_pandas(rows), told.append)
    return told


def test_columns_may_bear_their_mapped_names_and_lack_the_age(own_lake: Lake) -> None:
    store = open_store(own_lake)
    rows = build_rows().rename(columns={"n_1d": "daily_count", "n_7d": "weekly_count"}).drop(columns="age")
    assert write_batch(store, rows) == [2]
    assert read_values(ask(store, build_spine(("a", at("14:00"))))) == [30]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            build_rows().drop(columns="n_7d").assign(n_8d=1),
            r"must have the columns \['channel_id', .* 'n_7d'\], found \['n_1d', .*: missing are \['n_7d'\], unknown",
        ),
        (build_rows(n_1d=["many", "few"]), "n_1d of features.counts must be int64, found string that does not fit"),
        (build_rows(n_1d=[1.5, 2.0]), "n_1d of features.counts must be int64, found double .* truncated"),
        (
            build_rows(channel_id=["a", None]),
            r"need all of \['channel_id', 'event_timestamp'\], found .*'channel_id': 1",
        ),
        (build_rows(event_timestamp=[at("14:00"), pd.NaT]), "found nulls: {'event_timestamp': 1}; give them"),
    ],
    ids=["columns", "text", "fraction", "key", "event"],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(
    own_lake: Lake, rows: pd.DataFrame, words: str
) -> None:
    with pytest.raises(BadData, match=words):
        write_batch(open_store(own_lake), rows)
    assert (count_rows(own_lake), read_version(own_lake)) == (6, 0)


def test_feast_itself_refuses_other_columns(own_lake: Lake) -> None:
    with pytest.raises(ValueError, match=r"missing_expected_columns: \['n_7d'\], extra_unexpected_columns: \['x'\]"):
        open_store(own_lake).write_to_offline_store("counts", build_rows().rename(columns={"n_7d": "x"}))


def test_no_rows_are_no_batch(own_lake: Lake) -> None:
    open_store(own_lake).write_to_offline_store("counts", build_rows().iloc[:0])
    assert (count_rows(own_lake), read_version(own_lake)) == (6, 0)


def test_a_table_that_is_not_there_is_told(own_lake: Lake) -> None:
    with pytest.raises(BadData, match=r"lacks features\.nothing; run `scorelake apply`"):
        append_rows(own_lake, Target("features.nothing", "ingest_seq", required=()), pa.table({"x": [1]}))


def test_a_push_waits_for_the_writer_before_it_and_then_names_it(own_lake: Lake) -> None:
    impatient = Lake(own_lake.home, lock_wait_seconds=0.1)
    rows = pa.Table.from_pandas(build_rows().drop(columns="age"))
    with (
        write_lake(own_lake, purpose="an ingest"),
        pytest.raises(Unavailable, match="being written by an ingest, process"),
    ):
        append_rows(impatient, TARGET, rows)
    assert append_rows(impatient, TARGET, rows) == 1


def test_pushes_at_the_same_time_get_a_number_each(own_lake: Lake) -> None:
    rows = pa.Table.from_pandas(build_rows().drop(columns="age"))
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: append_rows(own_lake, TARGET, rows), range(6)))
    assert sorted(number for number in numbers if number) == [1, 2, 3, 4, 5, 6]
    assert (count_rows(own_lake), read_version(own_lake)) == (6 + 6 * 2, 6)


def test_a_type_is_widened_but_no_value_is_bent(own_lake: Lake) -> None:
    with write_lake(own_lake, purpose="a test") as connection:
        connection.execute("create table features.wide (k varchar, ingest_seq bigint, share double, tokens uinteger[])")
    rows = pa.table({"tokens": [[1, 4294967295]], "share": pa.array([0.5], pa.float32()), "k": ["a"]})
    append_rows(own_lake, Target("features.wide", "ingest_seq", required=("k",)), rows)
    with read_lake(own_lake) as connection:
        assert connection.execute("from features.wide").fetchall() == [("a", 1, 0.5, [1, 4294967295])]
    with pytest.raises(BadData, match=r"tokens of features\.wide must be list<.*uint32.*not in range"):
        append_rows(
            own_lake, Target("features.wide", "ingest_seq", required=()), rows.set_column(0, "tokens", [[[-1]]])
        )
