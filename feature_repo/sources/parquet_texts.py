"""A batch of a Parquet file as rows of texts, each type written in the form that mappings read.

Opening files, and what the columns mean, belongs elsewhere.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute


def read_texts(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str | None, ...], str | None]]:
    """Each row's values as texts in the order of its columns, and its fault if a text is not readable.

    Null and NaN are null, whole floats lose their fraction, timestamps are ISO 8601 with the zone if they
    have one, nested values are their JSON text.
    """
    for values in zip(*(_cast_to_texts(column) for column in batch.columns), strict=True):
        yield tuple(_decode(value) for value in values), _find_fault(values)


def _cast_to_texts(column: pa.Array) -> list[str | bytes | None]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    for is_type, cast in _CASTS:
        if is_type(column.type):
            return cast(column)
    return [None if value is None else str(value) for value in column.to_pylist()]


def _cast_texts(column: pa.Array) -> list[str | bytes | None]:
    try:
        column = column.cast(pa.string())
        column.validate(full=True)  # writers may have stored bytes that are not UTF-8
    except pa.ArrowInvalid:
        return list(column.cast(pa.binary()).to_pylist())
    return list(column.to_pylist())


def _cast_floats(column: pa.Array) -> list[str | bytes | None]:
    column = compute.if_else(compute.is_nan(column), None, column.cast(pa.float64()))
    return [None if value is None else _write_float(value) for value in column.to_pylist()]


def _write_float(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _cast_plainly(column: pa.Array) -> list[str | bytes | None]:
    return list(column.cast(pa.string()).to_pylist())


def _cast_nested(column: pa.Array) -> list[str | bytes | None]:
    values = column.to_pylist()
    return [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        is_type(kind) for is_type in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


_CASTS: Final[tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], list[str | bytes | None]]], ...]] = (
    (_is_text, _cast_texts),
    (pa.types.is_floating, _cast_floats),
    (pa.types.is_nested, _cast_nested),
    (pa.types.is_temporal, _cast_plainly),
    (pa.types.is_boolean, _cast_plainly),
)


def _decode(value: str | bytes | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _find_fault(values: tuple[str | bytes | None, ...]) -> str | None:
    if any(isinstance(value, bytes) and not _is_utf8(value) for value in values):
        return "line_not_utf8"
    return "line_nul" if any(value and "\0" in (_decode(value) or "") for value in values) else None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
