"""A lookup in chunks on a real lake: the same as in one piece, at one snapshot, whoever writes meanwhile."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import MappingProxyType

import pyarrow as pa
import pytest

from feature_repo.chunked_lookup import look_up_chunks, open_lookup
from feature_repo.history import History, Spine
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.point_in_time import build_chunked_lookup, build_lookup
from tests.feature_repo.probe_store import at

COUNTS = History(
    name="counts",
    table="features.counts",
    keys={"channel_id": "channel_id"},
    features={"n_1d": "daily_count", "n_7d": "weekly_count"},
    event="event_timestamp",
    created="created_timestamp",
    version="ingest_seq",
    ttl=timedelta(hours=2),
)
# 5000 rows, newest first: three channels of which one is unknown, and an instant every few seconds, some null.
MANY = """
    select
        number,
        ['a', 'b', 'c', null][1 + number % 4] as channel_id,
        case when number % 7 > 0 then timestamp '2026-01-05 09:30:00' + to_seconds(3 * number) end as event_timestamp
    from range(5000) as numbers (number)
    order by number desc
"""
COLUMNS = ("number", "channel_id", "event_timestamp")
NO_FRAMES: Mapping[str, pa.Table] = MappingProxyType({})


def read_chunked(
    lake: Lake, spine: Spine, *, rows_per_chunk: int, frames: Mapping[str, pa.Table] = NO_FRAMES
) -> list[pa.RecordBatch]:
    lookup = build_chunked_lookup(spine, [COUNTS])
    with open_lookup(lake, lookup, frames=dict(frames), rows_per_batch=1000, rows_per_chunk=rows_per_chunk) as reader:
        return list(reader)


def read_whole(lake: Lake, spine: Spine) -> pa.Table:
    with read_lake(lake) as connection:
        return connection.execute(build_lookup(spine, [COUNTS])).to_arrow_table()


@pytest.mark.parametrize("rows_per_chunk", [1, 700, 5000, 10_000])
def test_chunks_make_up_the_whole(counts_lake: Lake, rows_per_chunk: int) -> None:
    rows = 50 if rows_per_chunk == 1 else 5000
    spine = Spine(f"{MANY} limit {rows}", COLUMNS, "event_timestamp")
    whole = read_whole(counts_lake, spine)
    assert whole["number"].to_pylist() == list(range(4999, 4999 - rows, -1))
    assert set(whole["daily_count"].to_pylist()) == ({None, 10, 13, 20, 22} if rows == 5000 else {None, 22})
    batches = read_chunked(counts_lake, spine, rows_per_chunk=rows_per_chunk)
    assert pa.Table.from_batches(batches) == whole
    assert max(batch.num_rows for batch in batches) == min(rows_per_chunk, 1000)


def test_a_frame_is_read_by_its_name(counts_lake: Lake) -> None:
    with read_lake(counts_lake) as connection:
        frame = connection.execute(MANY).to_arrow_table()
    spine = Spine("from entity_df", COLUMNS, "event_timestamp")
    batches = read_chunked(counts_lake, spine, rows_per_chunk=700, frames={"entity_df": frame})
    assert pa.Table.from_batches(batches) == read_whole(counts_lake, Spine(MANY, COLUMNS, "event_timestamp"))


def test_a_spine_without_rows_has_its_columns(counts_lake: Lake) -> None:
    spine = Spine(f"select * from ({MANY}) where number < 0", COLUMNS, "event_timestamp")
    whole = read_whole(counts_lake, spine)
    assert pa.Table.from_batches(read_chunked(counts_lake, spine, rows_per_chunk=700)) == whole
    assert whole.num_rows == 0


def test_a_spine_alone_is_given_back(counts_lake: Lake) -> None:
    lookup = build_chunked_lookup(Spine(MANY, COLUMNS, "event_timestamp"), [])
    with open_lookup(counts_lake, lookup, frames={}, rows_per_batch=1000, rows_per_chunk=700) as reader:
        assert reader.read_all()["number"].to_pylist() == list(range(4999, -1, -1))


def test_all_chunks_are_of_one_snapshot_and_no_writer_waits(own_lake: Lake) -> None:
    with write_lake(own_lake, purpose="a test") as connection:
        connection.execute(f"create table features.asked as {MANY}")
    spine = Spine("from features.asked order by number", COLUMNS, "event_timestamp")
    before = read_whole(own_lake, spine)
    lookup = build_chunked_lookup(spine, [COUNTS])
    with open_lookup(own_lake, lookup, frames={}, rows_per_batch=100, rows_per_chunk=100) as reader:
        batches = read_while_writing(own_lake, reader)
    assert pa.Table.from_batches(batches) == before
    after = read_whole(own_lake, spine)
    assert after.num_rows == before.num_rows + 1
    assert set(after["daily_count"].to_pylist()) > {99}


def read_while_writing(lake: Lake, reader: pa.RecordBatchReader) -> list[pa.RecordBatch]:
    batches = [next(reader)]
    with write_lake(lake, purpose="a test", wait_seconds=1) as connection:
        connection.execute("insert into features.counts values ('a', ?, ?, 9, 99, 99)", [at("10:30"), at("10:30")])
        connection.execute("insert into features.asked values (9999, 'a', timestamp '2026-01-05 12:00:00')")
    return [*batches, *reader]


def test_a_chunk_is_forgotten_when_it_is_looked_up(counts_lake: Lake) -> None:
    def read_chunks() -> Iterator[pa.RecordBatch]:
        for _ in range(30):
            yield pa.RecordBatch.from_pydict(
                {
                    "number": pa.array(range(10_000)),
                    "channel_id": pa.array(["a"] * 10_000),
                    "event_timestamp": pa.array([at("12:00")] * 10_000),
                }
            )

    lookup = build_chunked_lookup(Spine(MANY, COLUMNS, "event_timestamp"), [COUNTS])
    one = next(read_chunks())
    reader = pa.RecordBatchReader.from_batches(one.schema, read_chunks())
    before = pa.total_allocated_bytes()
    with read_lake(counts_lake) as connection:
        connection.execute("begin transaction")
        for _ in look_up_chunks(reader, connection, lookup, rows_per_batch=10_000):
            assert pa.total_allocated_bytes() - before < 4 * one.nbytes


def test_an_error_on_the_way_is_the_readers(counts_lake: Lake) -> None:
    broken = f"select * replace (case when number = 40 then error('row 40') else number end as number) from ({MANY})"
    spine = Spine(broken, COLUMNS, "event_timestamp")
    with pytest.raises(Exception, match="row 40"):
        read_chunked(counts_lake, spine, rows_per_chunk=100)
