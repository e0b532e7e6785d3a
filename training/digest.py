"""Digests of what things say: of a table, of each of its rows, of plain data, of a fitted estimator.

The order of a table's rows, its chunks and its physical types do not matter. Two training sets with the same digest
hold the same rows. Why they might differ is not answered here.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def digest_rows(table: pa.Table, *, key: str) -> str:
    """SHA-256, in hex, of the rows ordered by their key, column by column in order of name.

    Integers count as 64 bits, floats as double, instants as microseconds, so that a change of storage alone changes
    nothing; a null is not a zero, and an empty list not a null.

    Raises
    ------
    BadData
        If the key occurs twice: the order, and with it the digest, would be arbitrary.

    >>> digest_rows(pa.table({"k": [2, 1], "v": ["b", None]}), key="k") == digest_rows(
    ...     pa.table({"v": [None, "b"], "k": [1, 2]}), key="k"
    ... )
    True
    """
    distinct = pc.count_distinct(table.column(key)).as_py()
    if distinct != len(table):
        raise BadData(f"expected one row per {key}, found {len(table)} rows of {distinct}; a digest needs one order")
    ordered = table.sort_by(key)
    digest = hashlib.sha256()
    for name in sorted(ordered.column_names):
        digest.update(f"{name}\0{len(ordered)}\0".encode())
        for part in _read_parts(ordered.column(name)):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def digest_each_row(table: pa.Table) -> list[str]:
    """The first 128 bits of the SHA-256 of every row, in hex, in their order; the columns count by name.

    >>> digest_each_row(pa.table({"a": [1], "b": [None]})) == digest_each_row(pa.table({"b": [None], "a": [1]}))
    True
    """
    ordered = table.select(sorted(table.column_names))
    return [digest_json(row)[:32] for row in ordered.to_pylist()]


def digest_json(value: object) -> str:
    """SHA-256, in hex, of plain data as canonical JSON; what JSON has not, such as an instant, counts as text.

    >>> digest_json({"b": 1, "a": (2.0,)}) == digest_json({"a": [2.0], "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_floats(values: "NDArray[np.float64]") -> str:
    """SHA-256, in hex, of the bytes of an array of doubles and its shape: equal for equal bits only."""
    content = np.ascontiguousarray(values, dtype="<f8")
    return hashlib.sha256(f"{content.shape}\0".encode() + content.tobytes()).hexdigest()


def digest_state(value: object) -> str:
    """SHA-256, in hex, of everything that an object holds, down to the bits of its arrays.

    Two fitted estimators have the same digest if they were built alike and have learned the same.

    >>> digest_state([np.arange(3), {"a": 1}]) == digest_state([np.arange(3), {"a": 1}])
    True
    >>> digest_state(np.zeros(2)) == digest_state(np.zeros(2, dtype=np.float32))
    False
    """
    digest = hashlib.sha256()
    for part in _walk_state(value):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _walk_state(value: Any) -> "Iterator[bytes]":
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        yield f"{value.dtype.str}{value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, np.ndarray | list | tuple):
        yield f"{type(value).__name__}{len(value)}".encode()
        for one in value:
            yield from _walk_state(one)
    elif isinstance(value, dict):
        yield f"dict{len(value)}".encode()
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _walk_state(value[key])
    elif value is None or isinstance(value, str | bytes | bool | int | float):
        yield repr(value).encode()
    elif callable(value) and hasattr(value, "__qualname__"):
        yield f"{value.__module__}.{value.__qualname__}".encode()
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}".encode()
        yield from _walk_state(value.__getstate__())


def _read_parts(column: pa.ChunkedArray) -> "Iterator[NDArray[np.generic]]":
    """Everything that the values say, as plain arrays: which are null, how long they are, what they hold."""
    kind = column.type
    yield pc.is_valid(column).to_numpy()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
        yield from _read_parts(pc.list_flatten(column))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        filled = pc.cast(pc.fill_null(column, ""), pa.large_binary())
        yield pc.binary_length(filled).to_numpy().astype(np.int64)
        yield np.frombuffer(b"".join(filled.to_pylist()), dtype=np.uint8)
    elif pa.types.is_timestamp(kind):
        yield from _read_parts(pc.cast(pc.cast(column, pa.timestamp("us", kind.tz)), pa.int64()))
    else:
        wide = pa.float64() if pa.types.is_floating(kind) else pa.int64()
        yield pc.fill_null(pc.cast(column, wide), 0).to_numpy()
