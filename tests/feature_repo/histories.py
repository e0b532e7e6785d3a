"""Small histories full of trouble, the rule that looks them up in slow plain Python, and the same rows in DuckDB.

Time is counted in steps of a clock, so that one example is tried on leap days, around changes of the clocks, before
1970, and at distances of microseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from feature_repo.history import History, Spine

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
KATHMANDU: Final = ZoneInfo("Asia/Kathmandu")
INSTANT: Final = pa.timestamp("us", tz="UTC")
TEXT, NUMBER = pa.string(), pa.int64()
ROWS: Final = {"k": TEXT, "k2": TEXT, "e": INSTANT, "c": INSTANT, "v": NUMBER, "x": NUMBER, "y": NUMBER}
ASKS: Final = {"a": TEXT, "b": TEXT, "t": INSTANT}
SPINE: Final = Spine("from asked", ("a", "b", "t"), "t")
BOTH_KEYS: Final = {"k": "a", "k2": "b"}


@dataclass(frozen=True)
class Clock:
    """Instants as numbers of steps."""

    start: datetime = START
    step: timedelta = timedelta(minutes=1)

    def at(self, number: int | None) -> datetime | None:
        return None if number is None else self.start + number * self.step


MINUTES: Final = Clock()
CLOCKS: Final = (
    MINUTES,
    Clock(datetime(2024, 2, 28, 12, tzinfo=UTC), timedelta(hours=8)),  # 29 February
    Clock(datetime(2023, 2, 27, tzinfo=UTC), timedelta(days=1)),  # no 29 February
    Clock(datetime(2026, 3, 29, 0, tzinfo=UTC), timedelta(minutes=30)),  # Berlin skips an hour ...
    Clock(datetime(2026, 10, 24, 23, tzinfo=UTC), timedelta(minutes=30)),  # ... and has one twice
    Clock(datetime(2016, 12, 31, 23, 59, 58, tzinfo=UTC), timedelta(seconds=1)),  # a leap second
    Clock(datetime(1969, 12, 31, 23, 59, 59, 999_997, tzinfo=UTC), timedelta(microseconds=1)),
)


@dataclass(frozen=True)
class Row:
    """One feature row: its keys, steps of event and created, and batch."""

    k: str | None
    k2: str | None
    event: int | None
    created: int | None
    version: int

    @property
    def known(self) -> int | None:
        return self.event if self.created is None else self.created

    @property
    def place(self) -> tuple[object, ...]:
        """Two rows with the same place are one and the same value: a batch that came twice."""
        return (self.k, self.k2, self.event, self.known, self.version)


@dataclass(frozen=True)
class Ask:
    """One spine row."""

    k: str | None
    k2: str | None
    instant: int | None


def build_history(
    *,
    keys: Mapping[str, str],
    name: str = "h",
    features: Mapping[str, str] = MappingProxyType({"x": "x"}),
    ttl: timedelta = timedelta(0),
) -> History:
    return History(
        name=name, table="features.rows", keys=keys, features=features, event="e", created="c", version="v", ttl=ttl
    )


def show(number: int | None) -> tuple[int | None, int | None]:
    """The features of a row: x is its number, and so is y unless that is odd."""
    return (number, None if number is None or number % 2 else number)


@cache
def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; create schema features")
    return connection


def open_rows(
    rows: Sequence[Row], asks: Sequence[Ask] = (), *, clock: Clock = MINUTES, zones: tuple[str, str] = ("UTC", "UTC")
) -> duckdb.DuckDBPyConnection:
    """A connection with the table `features.rows` and the spine `asked`, whose instants are written in these zones."""
    connection = connect()
    found = [
        {"k": row.k, "k2": row.k2, "e": row.event, "c": row.created, "v": row.version, **name_features(rows, row)}
        for row in rows
    ]
    asked = [{"a": ask.k, "b": ask.k2, "t": ask.instant} for ask in asks]
    connection.register("found", build_table(found, ROWS, clock=clock, zone=zones[0]))
    connection.register("asked", build_table(asked, ASKS, clock=clock, zone=zones[1]))
    connection.execute("create or replace table features.rows as from found")
    return connection


def name_features(rows: Sequence[Row], row: Row) -> dict[str, int | None]:
    number = [other.place for other in rows].index(row.place)
    return dict(zip(("x", "y"), show(number), strict=True))


def build_table(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType], *, clock: Clock, zone: str
) -> pa.Table:
    """An Arrow table; zone is a name, "naive" for UTC without saying so, or "text" for ISO 8601 with an offset."""
    instants = [name for name, kind in columns.items() if kind == INSTANT]
    kind = {"naive": pa.timestamp("us"), "text": pa.string()}.get(zone) or pa.timestamp("us", tz=zone)
    written = [{**row, **{name: write(clock.at(row[name]), zone) for name in instants}} for row in rows]
    return pa.Table.from_pylist(written, schema=pa.schema({**columns, **dict.fromkeys(instants, kind)}))


def write(instant: datetime | None, zone: str) -> datetime | str | None:
    if instant is None or zone not in {"naive", "text"}:
        return instant
    return instant.replace(tzinfo=None) if zone == "naive" else instant.astimezone(KATHMANDU).isoformat()


def look_up(  # the oracle
    rows: Sequence[Row], ask: Ask, *, keys: int, ttl: int, data_version: int | None, is_cut_off: bool
) -> int | None:
    """The number of the row that is the value; keys says how many of the two count, ttl is in steps."""
    known = [
        (row.event, row.known, row.version, -number)
        for number, row in enumerate(rows)
        if (row.k, row.k2)[:keys] == (ask.k, ask.k2)[:keys]
        and None not in (row.k, row.k2)[:keys]
        and (data_version is None or row.version <= data_version)
        and ask.instant is not None
        and row.event is not None
        and row.known is not None
        and row.event <= ask.instant
        and (row.known <= ask.instant or not is_cut_off)
    ]
    if not known or ask.instant is None:
        return None
    event, _, _, number = max(known)
    return None if ttl and event + ttl < ask.instant else -number


def drop_ambiguous(rows: Sequence[Row]) -> list[Row]:
    """The rows without those that tie with another of other keys: a lookup by fewer keys may choose either."""
    kept: dict[tuple[object, ...], Row] = {}
    return [row for row in rows if kept.setdefault((row.event, row.known, row.version), row).place == row.place]


# Few keys and few steps, so that ties, corrections, gaps and expiries are the rule and not the exception.
steps = st.integers(0, 6)
row_lists = st.lists(
    st.builds(
        Row,
        k=st.sampled_from(["a", "a", "a", "b", None]),
        k2=st.sampled_from(["x", "x", "x", "x", "y", None]),
        event=st.sampled_from([*range(5), *range(5), None]),
        created=st.sampled_from([None, None, *range(6)]),
        version=st.integers(1, 3),
    ),
    max_size=16,
).map(drop_ambiguous)
ask_lists = st.lists(
    st.builds(
        Ask,
        k=st.sampled_from(["a", "a", "a", "b", "c", None]),
        k2=st.sampled_from(["x", "x", "x", "x", "y", None]),
        instant=st.sampled_from([*range(6), 9, None]),
    ),
    max_size=8,
)
