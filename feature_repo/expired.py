"""Rows of a retrieval whose text has expired, told apart from rows whose features are not there yet."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb


def find_expired(connection: "duckdb.DuckDBPyConnection", table: pa.Table, column: str) -> NDArray[np.bool_]:
    """Which rows have lost a feature because their text has expired, boolean (rows,).

    Parameters
    ----------
    connection
        On the lake the rows come from.
    table
        Columns comment_id, text_id, and the feature.
    column
        The feature that expires with the text, such as token ids. Where it is null though the text is there, it
        has not been computed: such a row has not expired.
    """
    is_expired = np.zeros(len(table), dtype=np.bool_)
    positions = np.flatnonzero(pc.is_null(table.column(column)).to_numpy())
    if len(positions):
        missing = table.select(["comment_id", "text_id"]).take(positions).append_column("position", pa.array(positions))
        connection.register("missing_texts", missing)
        found = connection.execute(
            "select missing_texts.position from missing_texts semi join "
            "(select comment_id, text_id from raw.comments where text is null) using (comment_id, text_id)"
        ).fetchnumpy()
        connection.unregister("missing_texts")
        is_expired[found["position"]] = True
    return is_expired
