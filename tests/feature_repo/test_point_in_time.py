"""The lookup against a slow oracle that states the rule in plain Python, on small histories full of trouble."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.errors import BadData
from feature_repo.point_in_time import History, Spine, build_latest, build_lookup, build_range

START = datetime(2026, 1, 5, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
ROWS = pa.schema({"k": pa.string(), "k2": pa.string(), "e": INSTANT, "c": INSTANT, "v": pa.int64(), "x": pa.int64()})
SPINE = pa.schema({"a": pa.string(), "b": pa.string(), "t": INSTANT})


def at(minutes: int | None) -> datetime | None:
    return None if minutes is None else START + timedelta(minutes=minutes)


@dataclass(frozen=True)
class Row:
    """One feature row: its keys, minutes of event and created, and batch."""

    k: str
    k2: str
    event: int
    created: int | None
    version: int

    @property
    def known(self) -> int:
        return self.event if self.created is None else self.created


@dataclass(frozen=True)
class Ask:
    """One spine row."""

    k: str | None
    k2: str | None
    minute: int | None


def history(*, keys: dict[str, str], name: str = "h", shown: str = "x", ttl: int = 0) -> History:
    return History(
        name=name,
        table="features.rows",
        keys=keys,
        features={"x": shown},
        event="e",
        created="c",
        version="v",
        ttl=timedelta(minutes=ttl),
    )


BOTH_KEYS = {"k": "a", "k2": "b"}


@cache
def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; create schema features")
    return connection


def open_rows(rows: Sequence[Row], asks: Sequence[Ask] = ()) -> duckdb.DuckDBPyConnection:
    connection = connect()
    found = [
        {"k": row.k, "k2": row.k2, "e": at(row.event), "c": at(row.created), "v": row.version, "x": number}
        for number, row in enumerate(rows)
    ]
    asked = [{"a": ask.k, "b": ask.k2, "t": at(ask.minute)} for ask in asks]
    connection.register("found", pa.Table.from_pylist(found, schema=ROWS))
    connection.register("asked", pa.Table.from_pylist(asked, schema=SPINE))
    connection.execute("create or replace table features.rows as from found")
    return connection


def look_up(  # the oracle
    rows: Sequence[Row], ask: Ask, *, keys: int, ttl: int, data_version: int | None, is_cut_off: bool
) -> int | None:
    known = [
        (row.event, row.known, row.version, number)
        for number, row in enumerate(rows)
        if (row.k, row.k2)[:keys] == (ask.k, ask.k2)[:keys]
        and (data_version is None or row.version <= data_version)
        and ask.minute is not None
        and row.event <= ask.minute
        and (row.known <= ask.minute or not is_cut_off)
    ]
    if not known:
        return None
    event, _, _, number = max(known)
    return None if ttl and ask.minute is not None and event + ttl < ask.minute else number


# Few keys and few minutes, so that ties, corrections and expiries are the rule and not the exception.
minutes = st.integers(0, 6)
row_lists = st.lists(
    st.builds(
        Row,
        k=st.sampled_from("aaab"),
        k2=st.just("x"),
        event=minutes,
        created=st.sampled_from([None, *range(7)]),
        version=st.integers(1, 3),
    ),
    min_size=3,
    max_size=14,
    unique_by=lambda row: (row.k, row.event, row.known, row.version),
)
ask_lists = st.lists(
    st.builds(
        Ask,
        k=st.sampled_from(["a", "a", "a", "b", "c", None]),
        k2=st.sampled_from(["x", "x", "x", "x", "y", None]),
        minute=st.sampled_from([*range(7), None]),
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(
    rows=row_lists,
    asks=ask_lists,
    ttl=st.integers(0, 3),
    data_version=st.none() | st.integers(0, 3),
    is_cut_off=st.booleans(),
)
def test_a_lookup_finds_what_the_oracle_finds(
    *, rows: list[Row], asks: list[Ask], ttl: int, data_version: int | None, is_cut_off: bool
) -> None:
    sql = build_lookup(
        Spine("from asked", ("a", "b", "t"), "t"),
        [
            history(keys=BOTH_KEYS, name="two keys", shown="by_two", ttl=ttl),
            history(keys={"k": "a"}, name="one key", shown="by_one"),
        ],
        data_version=data_version,
        is_cut_off=is_cut_off,
    )
    expected = [
        (
            *(ask.k, ask.k2, at(ask.minute)),
            look_up(rows, ask, keys=2, ttl=ttl, data_version=data_version, is_cut_off=is_cut_off),
            look_up(rows, ask, keys=1, ttl=0, data_version=data_version, is_cut_off=is_cut_off),
        )
        for ask in asks
    ]
    connection = open_rows(rows, asks)
    for most_rows_of_a_loop in (64, 0):  # DuckDB joins small spines by a loop; large ones' operator must agree
        connection.execute(f"set asof_loop_join_threshold = {most_rows_of_a_loop:d}")
        assert connection.execute(sql).fetchall() == expected


@settings(max_examples=50, deadline=None)
@given(rows=row_lists, first=minutes, last=minutes, data_version=st.none() | st.integers(0, 3))
def test_the_latest_is_what_a_spine_at_the_end_is_given(
    *, rows: list[Row], first: int, last: int, data_version: int | None
) -> None:
    window = {"first": START + timedelta(minutes=first), "last": START + timedelta(minutes=last)}
    identity = history(keys={"k": "k"})
    found = open_rows(rows).execute(build_latest(identity, **window, data_version=data_version)).fetchall()
    expected = {}
    for key in "ab":
        number = look_up(rows, Ask(key, None, last), keys=1, ttl=0, data_version=data_version, is_cut_off=True)
        if number is not None and rows[number].event >= first:
            expected[key] = number
    assert {row[0]: row[1] for row in found} == expected
    assert len(found) == len(expected)


TIMELINE = [
    Row("a", "x", event=10, created=10, version=1),  # 0
    Row("a", "x", event=20, created=25, version=1),  # 1: known five minutes late
    Row("a", "x", event=10, created=30, version=2),  # 2: corrects row 0, overtaken by row 1 meanwhile
    Row("a", "x", event=20, created=25, version=3),  # 3: the same instants as row 1, from a later batch
    Row("a", "x", event=50, created=45, version=1),  # 4: foreseen, and better known than row 5 ...
    Row("a", "x", event=50, created=40, version=3),  # 5: ... which is no value though its batch is later
]


@pytest.mark.parametrize(
    ("minute", "data_version", "expected"),
    [
        (9, None, None),
        (10, None, 0),
        (24, None, 0),
        (25, None, 3),
        (25, 1, 1),
        (30, None, 3),
        (30, 2, 1),
        (49, None, 3),
        (50, None, 4),
        (99, 0, None),
    ],
)
def test_a_timeline_read_by_eye(minute: int, data_version: int | None, expected: int | None) -> None:
    spine = Spine("from asked", ("a", "b", "t"), "t")
    sql = build_lookup(spine, [history(keys=BOTH_KEYS)], data_version=data_version)
    assert open_rows(TIMELINE, [Ask("a", "x", minute)]).execute(sql).fetchall()[0][-1] == expected


@pytest.mark.parametrize(("minute", "expected"), [(20, 0), (25, 3), (30, 3), (35, 3), (36, None)])
def test_a_value_lives_up_to_its_ttl_after_the_event(minute: int, expected: int | None) -> None:
    sql = build_lookup(Spine("from asked", ("a", "b", "t"), "t"), [history(keys=BOTH_KEYS, ttl=15)])
    assert open_rows(TIMELINE, [Ask("a", "x", minute)]).execute(sql).fetchall()[0][-1] == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(None, None, [0, 1, 2, 3, 4, 5]), (11, 20, [1, 3]), (10, 10, [0, 2])]
)
def test_a_range_holds_every_row_within_inclusive_bounds(
    first: int | None, last: int | None, expected: list[int]
) -> None:
    sql = build_range(history(keys={"k": "k"}), first=at(first), last=at(last))
    assert sorted(row[1] for row in open_rows(TIMELINE).execute(sql).fetchall()) == expected


def test_bounds_without_a_zone_are_utc_and_others_are_converted() -> None:
    naive, elsewhere = datetime(2026, 1, 5, 12), datetime.fromisoformat("2026-01-05T14:00+02:00")  # noqa: DTZ001
    identity = history(keys={"k": "k"})
    assert build_range(identity, first=naive, last=None) == build_range(identity, first=elsewhere, last=None)


def test_the_spine_may_end_in_a_comment_or_a_semicolon_and_have_any_column_names() -> None:
    query = 'select a, b, t, 1 as "say ""hi""; {now}" from asked -- the end\n;'
    spine = Spine(query, ("a", "b", "t", 'say "hi"; {now}'), "t")
    sql = build_lookup(spine, [history(keys=BOTH_KEYS)])
    result = open_rows(TIMELINE, [Ask("a", "x", 12)]).execute(sql)
    assert [column[0] for column in result.description] == ["a", "b", "t", 'say "hi"; {now}', "x"]
    assert result.fetchall() == [("a", "x", at(12), 1, 0)]


def test_an_ordered_spine_keeps_its_order() -> None:
    spine = Spine("from asked order by t desc", ("a", "b", "t"), "t")
    sql = build_lookup(spine, [history(keys=BOTH_KEYS)])
    asks = [Ask("a", "x", minute) for minute in (26, 12, 9, 40)]
    assert [row[2:] for row in open_rows(TIMELINE, asks).execute(sql).fetchall()] == [
        (at(40), 3),
        (at(26), 3),
        (at(12), 0),
        (at(9), None),
    ]


def test_a_table_without_created_is_visible_from_its_events_on() -> None:
    bare = History(
        name="h", table="features.rows", keys={"k": "a"}, features={"x": "x"}, event="e", created=None, version="v"
    )
    sql = build_lookup(Spine("from asked", ("a", "b", "t"), "t"), [bare])
    assert open_rows(TIMELINE, [Ask("a", "x", 20)]).execute(sql).fetchall()[0][-1] == 3
    latest = build_latest(bare, first=START, last=START + timedelta(minutes=10))
    assert [row[-2] for row in open_rows(TIMELINE).execute(latest).fetchall()] == [2]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("b", "t"), r"h is looked up by \['a'\], which the spine lacks; it has \['b', 't'\]"),
        (("a", "b", "t", "X"), r"two columns named \['x'\]; rename the spine's, or ask for full feature names"),
    ],
)
def test_a_spine_that_does_not_fit_is_refused(columns: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadData, match=words):
        build_lookup(Spine("from asked", columns, "t"), [history(keys=BOTH_KEYS)])
