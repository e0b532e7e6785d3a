"""A digest of what a table says, whatever the order of its rows, its chunks and its physical types.

Two training sets with the same digest hold the same rows. Why they might differ is not answered here.
"""

import hashlib
from typing import TYPE_CHECKING

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
