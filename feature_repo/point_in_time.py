"""What was known when, as SQL: a table of feature rows through time, looked up at the instants of a spine.

The value of a key at t is the row with the greatest (event, created) among those with both at or before t; of
rows equal in both, the one of the latest batch. Pure text: who asks, and for which features, belongs elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from feature_repo.errors import BadData
from feature_repo.history import History, Spine, Window
from feature_repo.lake import quote_name

_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _State:
    """As of which data version a lookup is made, what is promised of its spine, and whether created cuts off."""

    data_version: int | str | None
    window: Window | None
    is_cut_off: bool


@dataclass(frozen=True, slots=True)
class ChunkedLookup:
    """The statements of a lookup whose spine is joined piece by piece; the pieces' results make up the whole.

    Parameters
    ----------
    read
        The rows of the spine, run once.
    look_up
        Run for each chunk of these rows, an Arrow table called `__chunk`: the number of the row in its chunk, from
        1 on, and the features; one row per row, in order.
    """

    read: str
    look_up: str


def build_lookup(
    spine: Spine,
    histories: Sequence[History],
    *,
    data_version: int | None = None,
    is_cut_off: bool = True,
    window: Window | None = None,
) -> str:
    """The query for the spine's columns and the features of each history: one row per spine row, in its order.

    A key that is null, or of which nothing was known at the row's instant, has nulls for features.

    Parameters
    ----------
    data_version
        Feature rows of later batches are not there; None: all rows are.
    is_cut_off
        Whether a row is visible from the greatest of event and created on; if not, from its event on.
    window
        What is promised of the spine; None: nothing.

    Raises
    ------
    BadData
        If the spine lacks a key, or two columns of the result would bear the same name.
    """
    _check_columns(spine, histories)
    version = window.upto if window and window.upto else data_version
    return _build_lookup(spine, spine.columns, histories, _State(version, window, is_cut_off))


def build_chunked_lookup(
    spine: Spine, histories: Sequence[History], *, data_version: int | None = None, is_cut_off: bool = True
) -> ChunkedLookup:
    """The statements that together find what `build_lookup` finds; its parameters and errors."""
    _check_columns(spine, histories)
    instant = _quote(spine.instant)
    keys = [key for history in histories for key in history.keys.values()]
    needed = {name.lower(): name for name in [*keys, spine.instant]}.values()
    chunk = replace(spine, query=f'select {_write_names(needed)} from "__chunk"')  # noqa: S608 - quoted names
    return ChunkedLookup(
        read=f"select * replace (cast({instant} as timestamptz) as {instant})\nfrom (\n{_write_query(spine)}\n)",
        look_up=_build_lookup(chunk, ["__spine_row"], histories, _State(data_version, None, is_cut_off)),
    )


def build_range(
    history: History, *, first: datetime | None, last: datetime | None, data_version: int | None = None
) -> str:
    """The query for every row with an event from `first` to `last`, both inclusive and None for open.

    Each row is shown as it was at its own event: its age is 0.
    """
    return _build_rows(history, first=first, last=last, data_version=data_version, age="cast(0 as double)")


def build_latest(history: History, *, first: datetime, last: datetime, data_version: int | None = None) -> str:
    """The query for the value at `last` of every key with an event from `first` on, both inclusive.

    A row that became knowable only after `last` is left out: the result is what a spine at `last` is given.
    """
    known_at = _quote(history.event)
    if history.created:
        known_at = f"coalesce({_quote(history.created)}, {known_at})"
    newest_first = [_quote(history.event), known_at, _quote(history.version)]
    age = _write_hours(f"epoch_us({_write_instant(last)}) - epoch_us({_quote(history.event)})")
    return (
        f"{_build_rows(history, first=first, last=last, data_version=data_version, age=age)}"
        f" and {known_at} <= {_write_instant(last)}\n"
        f"qualify row_number() over (partition by {_write_names(history.keys) or 'true'}"
        f" order by {', '.join(f'{column} desc' for column in newest_first)}) = 1"
    )


def _build_rows(
    history: History, *, first: datetime | None, last: datetime | None, data_version: int | None, age: str
) -> str:
    event = _quote(history.event)
    columns = [f"{age} as {_quote(name)}" if name == history.age else _quote(name) for name in history.features]
    times = [history.event, *([history.created] if history.created else [])]
    conditions = [
        f"{event} >= {_write_instant(first)}" if first else "true",
        f"{event} <= {_write_instant(last)}" if last else "true",
        _build_state(history, data_version),
    ]
    return (
        f"select {', '.join([*map(_quote, history.keys), *columns, *map(_quote, times)])}\n"
        f"from {_write_source(history)}\n"
        f"where {' and '.join(conditions)}"
    )


def _build_lookup(spine: Spine, shown: Iterable[str], histories: Sequence[History], state: _State) -> str:
    columns = [f'"__spine".{_quote(column)}' for column in shown]
    columns += [column for history in histories for column in _build_columns(history, spine)]
    key_sets = list(dict.fromkeys(tuple(history.keys.values()) for history in histories))
    # Those with a single event last: their rows may be wide, and what was joined before is sorted by the others.
    joins = [
        _build_join(history, spine, key_sets.index(tuple(history.keys.values())), state)
        for history in sorted(histories, key=lambda history: history.is_single_event)
    ]
    return _read_template("point_in_time.sql").format(
        spine=_write_query(spine),
        instant=_quote(spine.instant),
        keys="".join(f",\n{_build_keys(number, keys)}" for number, keys in enumerate(key_sets)),
        columns=",\n    ".join(columns),
        joins="\n".join(joins),
        order="" if state.window else '\norder by "__spine"."__spine_row"',
    )


def _build_keys(number: int, keys: Sequence[str]) -> str:
    columns = [f'{_quote(key)} as "__key_{place}"' for place, key in enumerate(keys)]
    return _read_template("point_in_time_keys.sql").format(number=number, keys=", ".join(columns) or 'true as "__all"')


def _build_join(history: History, spine: Spine, number: int, state: _State) -> str:
    pairs = [f'source.{_quote(key)} = numbered."__key_{place}"' for place, key in enumerate(history.keys)]
    asking = _quote(f"__keys of {history.name}")
    keys = enumerate(history.keys.values())
    asked = [f'{asking}."__key_{place}" = "__spine".{_quote(key)}' for place, key in keys]
    template = "point_in_time_single.sql" if history.is_single_event else "point_in_time_join.sql"
    recent = _read_template("point_in_time_recent.sql").format(since=state.window.since) if state.window else '"__rows"'
    return _read_template(template).format(
        name=_quote(history.name),
        source=_write_source(history),
        columns="".join(f"{_quote(name)},\n            " for name in history.stored),
        event=_quote(history.event),
        created=_quote(history.created) if history.created else "null",
        version=_quote(history.version),
        visible='greatest("__event", "__created")' if state.is_cut_off else '"__event"',
        where=_write_conditions(history, state),
        rows=recent,
        number=number,
        keys=" and ".join(pairs) or "true",
        asking=asking,
        asked=" and ".join(asked) or "true",
        instant=_quote(spine.instant),
    )


def _build_columns(history: History, spine: Spine) -> Iterator[str]:
    name = _quote(history.name)
    age = f'epoch_us("__spine".{_quote(spine.instant)}) - epoch_us({name}."__event")'
    for inside, outside in history.features.items():
        value = _write_hours(age) if inside == history.age else f"{name}.{_quote(inside)}"
        if history.ttl:
            value = f"case when {age} <= {history.ttl // _MICROSECOND:d} then {value} end"
        yield f"{value} as {_quote(outside)}"


def _write_hours(microseconds: str) -> str:
    return f"({microseconds}) / {_HOUR / _MICROSECOND:.1f}"


def _build_state(history: History, data_version: int | str | None) -> str:
    return "true" if data_version is None else f"{_quote(history.version)} <= {data_version}"


def _write_conditions(history: History, state: _State) -> str:
    """Which rows of a history may be a value at all: of the data version, and of the window's time."""
    conditions = [_build_state(history, state.data_version)]
    if state.window:
        conditions.append(f"{_quote(history.event)} < {state.window.until}")
        if history.is_single_event:
            conditions.append(f"{_quote(history.event)} >= {state.window.since}")
    return " and ".join(conditions)


def _check_columns(spine: Spine, histories: Iterable[History]) -> None:
    names = [column.lower() for column in spine.columns]
    for history in histories:
        if missing := [key for key in history.keys.values() if key.lower() not in names]:
            raise BadData(
                f"{history.name} is looked up by {missing}, which the spine lacks; it has {list(spine.columns)}"
            )
        names += [feature.lower() for feature in history.features.values()]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise BadData(
            f"the result would have two columns named {doubled}; rename the spine's, or ask for full feature names"
        )


def _write_source(history: History) -> str:
    at = "" if history.snapshot is None else f" at (version => {history.snapshot:d})"
    return f"{quote_name(history.table)} as source{at}"


def _write_query(spine: Spine) -> str:
    return spine.query.strip().rstrip(";")


def _quote(column: str) -> str:
    """Quote one name; a dot in it is part of it, other than for `quote_name`."""
    return '"' + column.replace('"', '""') + '"'


def _write_names(names: Iterable[str]) -> str:
    return ", ".join(map(_quote, names))


def _write_instant(instant: datetime) -> str:
    utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    return f"timestamptz '{utc.isoformat(sep=' ')}'"


@cache
def _read_template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").rstrip()
