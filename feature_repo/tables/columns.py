"""The words in which tables are declared: types, checks, and the columns that many tables share."""

from collections.abc import Mapping
from typing import Final

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow

TEXT: Final = pd.ArrowDtype(arrow.string())
BIGINT: Final = pd.ArrowDtype(arrow.int64())
DOUBLE: Final = pd.ArrowDtype(arrow.float64())
BOOLEAN: Final = pd.ArrowDtype(arrow.bool_())
INSTANT: Final = pd.ArrowDtype(arrow.timestamp("us", tz="UTC"))
DAY: Final = pd.ArrowDtype(arrow.date32())
TEXTS: Final = pd.ArrowDtype(arrow.list_(arrow.string()))
TOKENS: Final = pd.ArrowDtype(arrow.list_(arrow.uint32()))

SQL_TYPES: Final = {
    TEXT: "varchar",
    BIGINT: "bigint",
    DOUBLE: "double",
    BOOLEAN: "boolean",
    INSTANT: "timestamptz",
    DAY: "date",
    TEXTS: "varchar[]",
    TOKENS: "uinteger[]",
}

_EXPIRES: Final = "expires"

# YouTube ids are short; anything longer, or with a control character, is another column read as an id.
ID: Final = pa.Check.str_matches(r"^[^\x00-\x1f\x7f]{1,128}$", error="malformed")
NOT_NEGATIVE: Final = pa.Check.ge(0, error="negative")
SHARE: Final = pa.Check.in_range(0, 1, error="out_of_range")


def column(
    dtype: pd.ArrowDtype, description: str, *checks: pa.Check, nullable: bool = False, expires: bool = False
) -> pa.Column:
    """A column: its type, what it means (unit, range, null), the checks of its values, and whether it may be null.

    What `expires` is in every row that comes in, and null from the day on which its source's retention ends.
    """
    metadata = {_EXPIRES: expires}
    return pa.Column(dtype, list(checks), description=description, nullable=nullable or expires, metadata=metadata)


def is_expiring(column: pa.Column) -> bool:
    """Whether the column's values are taken out when the retention of their source ends."""
    return bool((column.metadata or {}).get(_EXPIRES))


def is_required(column: pa.Column) -> bool:
    """Whether a row that comes in must have a value; one that expires later had one."""
    return not column.nullable or is_expiring(column)


def table(name: str, description: str, key: tuple[str, ...], columns: Mapping[str, pa.Column]) -> pa.DataFrameSchema:
    """A table: `schema.name`, what it holds, the columns that tell its rows apart, and all columns in order."""
    return pa.DataFrameSchema(
        dict(columns), name=name, description=description, unique=list(key), strict=True, ordered=True
    )


BATCH: Final = {
    "source": column(TEXT, "Where the row came from, as the ingest named it."),
    "batch_id": column(TEXT, "Ingest run that brought the row; `ingest --revert` takes it."),
    "ingest_seq": column(BIGINT, "Number of the committed batch, growing; data version S is all rows up to S."),
}
OBSERVED_AT: Final = {
    "observed_at": column(INSTANT, "When the platform first saw it so (UTC)."),
    "is_observed_at_imputed": column(
        BOOLEAN, "True where the source told no observation time; counts of such rows are never features."
    ),
}
FEATURE_TIMES: Final = {
    "event_timestamp": column(INSTANT, "Instant the value describes (UTC)."),
    "created_timestamp": column(INSTANT, "Instant from which the value was knowable (UTC), never a clock's."),
}
DATA_VERSION: Final = {
    "ingest_seq": column(BIGINT, "Greatest ingest_seq among the inputs of the row."),
}
