"""Mappings compiled to SQL: how each column of a candidate is told, read and checked.

Pure: texts and bound values in, texts and bound values out. Running the statement belongs to `candidates`;
the macros used here are declared in `reading.sql`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from feature_repo.lake import quote_name
from feature_repo.sources.kinds import Kind
from feature_repo.sources.mapping import ColumnSource

_SELECT: Final = (Path(__file__).parent / "candidates.sql").read_text(encoding="utf-8")
# YouTube went online in 2005; a clock that is ahead of ours by less than a day is no reason to refuse a row.
_EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)
_TOLERANCE: Final = timedelta(days=1)
# Fractions of a second have several spellings, so that such a time cannot be compared with its format.
_FRACTIONS: Final = ("%f", "%g", "%n")
# Everything else is trimmed; these are kept as the platform shows them.
_AS_SEEN: Final = frozenset({"text", "title"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values bound to a statement that is being composed."""

    values: dict[str, Any] = field(default_factory=dict)

    def bind(self, value: Any) -> str:
        """The name under which a value is now bound, for use in the statement."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A column's value in SQL, and its reason codes with the condition that is true for a bad row."""

    value: str
    reasons: Mapping[str, str] = field(default_factory=dict)


def build_select(
    kind: Kind, columns: Mapping[str, ColumnSource], now: datetime, task: str | None, parameters: Parameters
) -> str:
    """The statement that turns the staged rows in `$rows` into candidates, one each.

    Parameters
    ----------
    columns
        Lake column → its source.
    now
        No time may be more than a day later.
    task
        Task of the labels whose source tells none.
    parameters
        Receives the values that the statement needs.
    """
    told = {name: _build_told(name, columns.get(name), parameters) for name in kind.columns}
    if "task" in told:
        told["task"] = f"coalesce({told['task']}, {parameters.bind(task)}::varchar)"
    readings = {
        name: _build_reading(name, sql_type, columns.get(name), parameters) for name, sql_type in kind.columns.items()
    }
    reading_reasons = [pair for reading in readings.values() for pair in reading.reasons.items()]
    rules = kind.build_rules() | _build_time_rules(kind.columns, now, parameters)
    return _SELECT.format(
        told=_list_columns(told),
        read=_list_columns({name: reading.value for name, reading in readings.items()}),
        reading_reasons=_list_reasons(reading_reasons),
        rule_reasons=_list_reasons(rules.items()),
        columns=_list_candidate_columns(kind),
    )


def _build_told(name: str, source: ColumnSource | None, parameters: Parameters) -> str:
    """The text that the source tells for a column."""
    if source is None:
        return "null::varchar"
    told = _build_origin(source, parameters)
    if source.null_values:
        told = f"tell_unless({told}, {parameters.bind(list(source.null_values))}::varchar[])"
    told = f"tell_as_seen({told})" if name in _AS_SEEN else f"tell({told})"
    if source.prefix or source.suffix:
        told = f"{parameters.bind(source.prefix)} || {told} || {parameters.bind(source.suffix)}"
    return told


def _build_origin(source: ColumnSource, parameters: Parameters) -> str:
    if source.constant is not None:
        return f"{parameters.bind(source.constant)}::varchar"
    if source.file_stem:
        return "parse_filename(file, true)"
    fields = [f"fields[{parameters.bind(column)}]" for column in source.read_columns]
    return f"tell_hash([{', '.join(fields)}])" if source.hash_of else fields[0]


def _build_reading(name: str, sql_type: str, source: ColumnSource | None, parameters: Parameters) -> Reading:
    column = f"told.{quote_name(name)}"
    if source is None:
        return Reading(f"{column}::{sql_type}")
    if sql_type == "timestamptz":
        return _build_time_reading(name, source, parameters)
    if sql_type in _READERS:
        value = f"{_READERS[sql_type]}({column})"
        return Reading(value, {f"{name}_malformed": f"{column} is not null and {value} is null"})
    if not source.values:
        return Reading(column)
    codes, meanings = (f"{parameters.bind(list(part))}::varchar[]" for part in zip(*source.values.items(), strict=True))
    unknown = f"{column} is not null and not list_contains({codes}, {column})"
    return Reading(f"read_value({column}, {codes}, {meanings})", {f"{name}_unknown": unknown})


_READERS: Final = {"bigint": "read_whole", "boolean": "read_boolean"}


def _build_time_reading(name: str, source: ColumnSource, parameters: Parameters) -> Reading:
    column = f"told.{quote_name(name)}"
    local, zoned = _build_time_readers(column, source.formats, parameters)
    value = f"coalesce({zoned}, timezone({parameters.bind(source.zone)}::varchar, {local}))"
    reasons = {
        f"{name}_malformed": f"{column} is not null and {value} is null and {local} is null",
        f"{name}_without_zone": f"{value} is null and {local} is not null",
    }
    return Reading(value, reasons)


def _build_time_readers(column: str, formats: Iterable[str], parameters: Parameters) -> tuple[str, str]:
    """The time as one without zone and as one with zone; at most one of them is not null."""
    local, zoned = ["null::timestamp"], ["null::timestamptz"]
    for time_format in formats:
        if time_format == "iso":
            local.append(f"read_iso_local({column})")
            zoned.append(f"read_iso_zoned({column})")
        elif "%z" in time_format:
            zoned.append(f"try_strptime({column}, {parameters.bind(time_format)})")
        else:
            read = "try_strptime" if any(part in time_format for part in _FRACTIONS) else "read_local"
            local.append(f"{read}({column}, {parameters.bind(time_format)})")
    return f"coalesce({', '.join(local)})", f"coalesce({', '.join(zoned)})"


def _build_time_rules(columns: Mapping[str, str], now: datetime, parameters: Parameters) -> dict[str, str]:
    earliest, latest = parameters.bind(_EARLIEST), parameters.bind(now + _TOLERANCE)
    rules = {
        f"{name}_out_of_range": f"{quote_name(name)} not between {earliest} and {latest}"
        for name, sql_type in columns.items()
        if sql_type == "timestamptz"
    }
    if {"observed_at", "published_at"} <= columns.keys():
        rules["observed_at_before_published_at"] = "observed_at < published_at"
    return rules


def _list_candidate_columns(kind: Kind) -> str:
    derived = ["sha256(text)[:32] as text_id"] if "text" in kind.columns else []
    return ",\n    ".join([*(quote_name(name) for name in kind.columns), *derived])


def _list_columns(values: Mapping[str, str]) -> str:
    return ",\n        ".join(f"{value} as {quote_name(name)}" for name, value in values.items())


def _list_reasons(rules: Iterable[tuple[str, str]]) -> str:
    """A list with each reason that holds and null for the others; codes are names of ours."""
    return ",\n            ".join(f"case when {condition} then '{code}' end" for code, condition in rules)
