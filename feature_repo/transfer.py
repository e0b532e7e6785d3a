"""A lake's rows, copied into another lake and compared there: by number and digest, table by table.

Rows keep their values, `ingest_seq` among them, so that every data version is what it was. Snapshots stay behind:
the copy begins with its own. Files beside the tables are their owners' affair.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from feature_repo.catalogs import WRITER
from feature_repo.errors import BadData, Refused
from feature_repo.lake import Lake, attach_other, quote_name, run_transaction, write_lake
from feature_repo.tables.ops import RELEASES

if TYPE_CHECKING:
    import duckdb

_TABLES: Final = (
    "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'origin' order by all"
)
_COLUMNS: Final = """
select column_name from duckdb_columns()
where database_name = 'origin' and schema_name || '.' || table_name = $table
order by 1
"""
# Of each row a hash of all its values by name, and their sum: neither order nor files matter, and rows that are twice
# in a table count twice.
_DIGEST: Final = """
select count(*), sum(md5_number_lower(cast(line as varchar))::hugeint)::varchar
from (select {columns} from {name}) as line
"""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows a table has, and a digest of their values."""

    table: str
    rows: int
    digest: str


def copy_lake(origin: Lake, target: Lake) -> tuple[TableDigest, ...]:
    """Copy every row of a lake into another one that has none, whose tables are there; returns what both hold then.

    All of it, or nothing: killed at any instant, it begins anew. Nobody writes to either meanwhile.

    Raises
    ------
    Refused
        If the target holds rows already.
    BadData
        If what was written is not what was read; then nothing was written.
    """
    with (
        origin.catalog.hold(WRITER, "migrate to another lake", origin.lock_wait_seconds),
        write_lake(target, purpose=f"migrate from {origin.home}") as connection,
    ):
        attach_other(connection, origin, "origin")
        try:
            # Which releases have migrated a lake is a history of that lake alone.
            tables = [name for (name,) in connection.execute(_TABLES).fetchall() if name != RELEASES.name]
            return run_transaction(connection, lambda inside: tuple(_copy(inside, table) for table in tables))
        finally:
            connection.execute("detach origin")


def _copy(connection: "duckdb.DuckDBPyConnection", table: str) -> TableDigest:
    source, name = f"origin.{quote_name(table)}", f"lake.{quote_name(table)}"
    columns = [quote_name(column) for (column,) in connection.execute(_COLUMNS, {"table": table}).fetchall()]
    connection.execute(f"create schema if not exists lake.{quote_name(table.split('.', maxsplit=1)[0])}")
    connection.execute(f"create table if not exists {name} as from {source} limit 0")
    if _digest(connection, table, name, columns).rows:
        raise Refused(f"the target holds rows of {table} already; migrate into an empty lake. Nothing was written")
    connection.execute(f"insert into {name} by name from {source}")
    before, after = (_digest(connection, table, one, columns) for one in (source, name))
    if before != after:
        raise BadData(f"{table} was not copied as it is: read {before}, found {after}. Nothing was written")
    return after


def _digest(connection: "duckdb.DuckDBPyConnection", table: str, name: str, columns: list[str]) -> TableDigest:
    sql = _DIGEST.format(columns=", ".join(columns), name=name)
    rows, digest = connection.execute(sql).fetchall()[0]
    return TableDigest(table, rows, digest or "0")
