"""The lookup, whole and in chunks, against the oracle of `histories`; and that nothing later is ever seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from feature_repo.chunked_lookup import look_up_chunks
from feature_repo.history import Window
from feature_repo.point_in_time import build_chunked_lookup, build_latest, build_lookup
from tests.feature_repo.histories import (
    BOTH_KEYS,
    CLOCKS,
    MINUTES,
    SPINE,
    Ask,
    Clock,
    Row,
    ask_lists,
    build_history,
    look_up,
    open_rows,
    row_lists,
    show,
    steps,
)

ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "naive", "text")


@settings(max_examples=100, deadline=None)
@given(
    rows=row_lists,
    asks=ask_lists,
    ttl=st.integers(0, 3),
    data_version=st.none() | st.integers(0, 3),
    is_cut_off=st.booleans(),
    clock=st.sampled_from(CLOCKS),
    zones=st.tuples(st.sampled_from(ZONES), st.sampled_from(ZONES)),
    rows_per_chunk=st.integers(1, 8),
)
def test_a_lookup_finds_what_the_oracle_finds(
    *,
    rows: list[Row],
    asks: list[Ask],
    ttl: int,
    data_version: int | None,
    is_cut_off: bool,
    clock: Clock,
    zones: tuple[str, str],
    rows_per_chunk: int,
) -> None:
    state = {"data_version": data_version, "is_cut_off": is_cut_off}
    by_two = {"x": "by_two", "y": "by_two_or_null"}
    histories = [
        build_history(keys=BOTH_KEYS, name="two keys", features=by_two, ttl=ttl * clock.step),
        build_history(keys={"k": "a"}, name="one key", features={"x": "by_one"}),
        build_history(keys={}, name="no key", features={"x": "by_none"}),
    ]
    expected = [
        (
            *(ask.k, ask.k2, clock.at(ask.instant)),
            *show(look_up(rows, ask, keys=2, ttl=ttl, **state)),
            look_up(rows, ask, keys=1, ttl=0, **state),
            look_up(rows, ask, keys=0, ttl=0, **state),
        )
        for ask in asks
    ]
    connection = open_rows(rows, asks, clock=clock, zones=zones)
    for most_rows_of_a_loop in (64, 0):  # DuckDB has two operators for this join, and they must agree
        connection.execute(f"set asof_loop_join_threshold = {most_rows_of_a_loop:d}")
        assert connection.execute(build_lookup(SPINE, histories, **state)).fetchall() == expected
    chunked = build_chunked_lookup(SPINE, histories, **state)
    chunks = connection.execute(chunked.read).to_arrow_table().to_reader(rows_per_chunk)
    found = pa.Table.from_batches(look_up_chunks(chunks, connection, chunked, rows_per_batch=2))
    assert [tuple(row.values()) for row in found.to_pylist()] == expected


@settings(max_examples=50, deadline=None)
@given(rows=row_lists, first=steps, last=steps, data_version=st.none() | st.integers(0, 3))
def test_the_latest_is_what_a_spine_at_the_end_is_given(
    *, rows: list[Row], first: int, last: int, data_version: int | None
) -> None:
    window = {"first": MINUTES.start + first * MINUTES.step, "last": MINUTES.start + last * MINUTES.step}
    sql = build_latest(build_history(keys={"k": "k"}), **window, data_version=data_version)
    found = open_rows(rows).execute(sql).fetchall()
    expected = {}
    for key in ("a", "b"):
        number = look_up(rows, Ask(key, None, last), keys=1, ttl=0, data_version=data_version, is_cut_off=True)
        if number is not None and (rows[number].event or 0) >= first:
            expected[key] = number
    assert {row[0]: row[1] for row in found if row[0]} == expected
    assert len(found) == len({row[0] for row in found})


def write_window(first: int, last: int) -> Window:
    """The promise that all instants lie from first to last."""
    return Window(f"timestamptz '{MINUTES.at(first)}'", f"timestamptz '{MINUTES.at(last)}' + interval 1 microsecond")


@settings(max_examples=100, deadline=None)
@given(rows=row_lists, asks=ask_lists, data_version=st.none() | st.integers(0, 3), is_cut_off=st.booleans())
def test_what_is_promised_of_a_spine_changes_nothing_but_the_order(
    *, rows: list[Row], asks: list[Ask], data_version: int | None, is_cut_off: bool
) -> None:
    asks = [ask for ask in asks if ask.instant is not None]
    instants = [ask.instant for ask in asks if ask.instant is not None] or [0]
    connection, window = open_rows(rows, asks), write_window(min(instants), max(instants))
    state = {"data_version": data_version, "is_cut_off": is_cut_off}
    plain = connection.execute(build_lookup(SPINE, HISTORIES, **state)).fetchall()
    promised = connection.execute(build_lookup(SPINE, HISTORIES, **state, window=window)).fetchall()
    assert sorted(promised, key=repr) == sorted(plain, key=repr)


@settings(max_examples=100, deadline=None)
@given(rows=row_lists, asks=ask_lists, data_version=st.none() | st.integers(0, 3))
def test_a_single_event_is_found_without_sorting_through_time(
    rows: list[Row], asks: list[Ask], data_version: int | None
) -> None:
    events = {row.k: row.event for row in rows if row.event is not None}
    rows = [replace(row, event=events.get(row.k), created=None) for row in rows]
    rows = list({(row.k, row.version): row for row in rows}.values())
    history = build_history(keys={"k": "a"}, features={"x": "x"})
    single = replace(history, is_single_event=True)
    connection = open_rows(rows, asks)
    plain = connection.execute(build_lookup(SPINE, [history], data_version=data_version)).fetchall()
    assert connection.execute(build_lookup(SPINE, [single], data_version=data_version)).fetchall() == plain
    twice = open_rows([*rows, *rows], asks)  # a batch that came twice
    assert len(twice.execute(build_lookup(SPINE, [single])).fetchall()) == len(asks)


def test_two_histories_of_single_events_may_have_the_same_keys() -> None:
    rows, asks = [Row("A", None, 0, None, 1)], [Ask("A", None, 1)]
    histories = [
        replace(build_history(keys={"k": "a"}, name=name, features={name: name}), is_single_event=True)
        for name in ("x", "y")
    ]
    connection = open_rows(rows, asks)
    [both] = connection.execute(f"select x, y from ({build_lookup(SPINE, histories)})").fetchall()
    alone = [
        connection.execute(f"select {one.name} from ({build_lookup(SPINE, [one])})").fetchone() for one in histories
    ]
    assert [(value,) for value in both] == alone
    assert None not in both


def check_that_later_rows_are_not_seen(lookup: str) -> None:
    """Whatever becomes known after the last instant that is asked for may be there or not: nothing changes."""

    # The same examples every time, and none is made smaller: it is known what the leaking ones look like.
    @settings(max_examples=100, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(rows=row_lists, later=row_lists, asks=ask_lists, last=st.integers(0, 4))
    def check(rows: list[Row], later: list[Row], asks: list[Ask], last: int) -> None:
        asks = [replace(ask, instant=None if ask.instant is None else min(ask.instant, last)) for ask in asks]
        unseen = [row for row in later if row.event is not None and max(row.event, row.known or 0) > last]
        clock = Clock(step=timedelta(seconds=1))
        before = open_rows(rows, asks, clock=clock).execute(lookup).fetchall()
        after = open_rows([*rows, *unseen], asks, clock=clock).execute(lookup).fetchall()
        assert after == before, "a later row was seen"

    check()


HISTORIES = [
    build_history(keys=BOTH_KEYS, name="two", features={"x": "by_two"}, ttl=timedelta(seconds=2)),
    build_history(keys={"k": "a"}, name="one", features={"x": "by_one"}),
]


def test_what_becomes_known_later_changes_nothing() -> None:
    check_that_later_rows_are_not_seen(build_lookup(SPINE, HISTORIES))


def leak_a_second(lookup: str) -> str:
    return lookup.replace('<= asked."__instant"', '<= asked."__instant" + interval 1 second')


def leak_what_was_foreseen(lookup: str) -> str:
    """Visible from created on, though the event is still to come."""
    return lookup.replace('greatest("__event", "__created")', '"__created"')


def leak_corrections(_lookup: str) -> str:
    """Visible from the event on, though it was known only later: Feast's default."""
    return build_lookup(SPINE, HISTORIES, is_cut_off=False)


@pytest.mark.parametrize("leak", [leak_a_second, leak_what_was_foreseen, leak_corrections])
def test_a_lookup_that_leaks_is_caught(leak: Callable[[str], str]) -> None:
    honest = build_lookup(SPINE, HISTORIES)
    leaking = leak(honest)
    assert leaking != honest
    with pytest.raises(AssertionError, match="a later row was seen"):
        check_that_later_rows_are_not_seen(leaking)
