"""Feature rows that come from outside: checked against their table, and appended as a batch with a number of its own.

Features that are computed from raw data are written by `features.materialize`; files are brought in by `sources`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from feature_repo import ledger
from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake, run_transaction, write_lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_log = logging.getLogger(__name__)
_ROWS = "pushed_rows"


@dataclass(frozen=True, slots=True)
class Target:
    """Where pushed rows go.

    Parameters
    ----------
    table
        `schema.table` in the lake.
    version
        Column with the number of the batch, which the push gives.
    required
        Columns that may not be null: the keys, and the instant a row describes.
    """

    table: str
    version: str
    required: tuple[str, ...]


def append_rows(lake: Lake, target: Target, rows: pa.Table) -> int | None:
    """Append rows to a table of the lake, all or none, and return the data version they make; None without rows.

    The rows have every column of the table but the batch number, in any order. Values are converted where nothing
    is lost; instants without a zone are UTC. Rows are only ever added: one that corrects another comes with a later
    created instant, or counts as the later batch.

    Raises
    ------
    BadData
        If columns are missing or unknown, or a value does not fit its column.
    Unavailable
        If another writer holds the lake for too long.
    """
    fitted = _fit_rows(_read_schema(lake, target), target, rows)
    if not fitted.num_rows:
        return None
    with write_lake(lake, purpose=f"push of {fitted.num_rows} rows to {target.table}") as connection:
        connection.register(_ROWS, fitted)
        data_version = run_transaction(connection, lambda connection: _append(connection, target, fitted.num_rows))
    _log.info("pushed=%s rows=%d data_version=%d", target.table, fitted.num_rows, data_version)
    return data_version


def _read_schema(lake: Lake, target: Target) -> pa.Schema:
    sql = f"select * exclude ({quote_name(target.version)}) from {quote_name(target.table)} limit 0"  # noqa: S608 - quoted
    with read_lake(lake) as connection:
        try:
            return connection.execute(sql).to_arrow_table().schema
        except duckdb.CatalogException as error:
            raise BadData(f"the lake at {lake.home} lacks {target.table}; run `scorelake apply`: {error}") from error


def _fit_rows(schema: pa.Schema, target: Target, rows: pa.Table) -> pa.Table:
    missing = [name for name in schema.names if name not in rows.column_names]
    unknown = [name for name in rows.column_names if name not in schema.names]
    if missing or unknown:
        raise BadData(
            f"rows for {target.table} must have the columns {schema.names}, found {rows.column_names}: "
            f"missing are {missing}, unknown are {unknown}"
        )
    fitted = pa.table([_fit_column(rows[field.name], field, target) for field in schema], schema=schema)
    _check_required(fitted, target.required, target.table)
    return fitted


def _fit_column(values: pa.ChunkedArray, field: pa.Field, target: Target) -> pa.ChunkedArray:
    try:
        return values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadData(
            f"{field.name} of {target.table} must be {field.type}, found {values.type} that does not fit: {error}"
        ) from error


def _check_required(rows: pa.Table, required: Sequence[str], table: str) -> None:
    if empty := {name: rows[name].null_count for name in required if rows[name].null_count}:
        raise BadData(
            f"rows for {table} need all of {list(required)}, found nulls: {empty}; give them, or drop the rows"
        )


def _append(connection: "DuckDBPyConnection", target: Target, count: int) -> int:
    number = ledger.read_data_version(connection) + 1
    connection.execute(
        f"insert into {quote_name(target.table)} by name "  # noqa: S608 - quoted
        f"select *, cast(? as bigint) as {quote_name(target.version)} from {_ROWS}",
        [number],
    )
    now = _read_clock(connection)
    run = ledger.Run(
        run_id=f"push-{target.table}-{number}",
        kind="push",
        started_at=now,
        ended_at=now,
        rows_out=count,
        data_version=number,
        details={"table": target.table},
    )
    ledger.append_run(connection, run)
    return number


def _read_clock(connection: "DuckDBPyConnection") -> datetime:
    """When the transaction began. Feast, whose call this is, passes no instant; no value of a feature depends on it."""
    instant: datetime = connection.execute("select now()").fetchall()[0][0]
    return instant
