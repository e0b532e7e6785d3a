"""A lake's catalog, copied as it is into another kind of database: snapshots, numbers of files and all.

It names data files by where they lie below the lake's data folder, so that the copy is a lake as soon as they are
there. Rows of tables are not touched; a lake that gets new files is `transfer`'s affair.
"""

from typing import TYPE_CHECKING, Final

from feature_repo.errors import Refused
from feature_repo.lake import Lake, attach_other, quote_name, run_transaction, write_lake

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

_OTHER: Final = "other"
_TABLES: Final = "select count(*) from duckdb_tables() where database_name = 'lake'"


def export_catalog(connection: "duckdb.DuckDBPyConnection", lake: Lake, target: Lake) -> None:
    """Copy the catalog of a lake, open for writing, into that of another one that is not there yet."""
    target.catalog.prepare()
    attach_other(connection, target, _OTHER, read_only=False)
    try:
        tables = lake.catalog.list_tables()
        run_transaction(connection, lambda inside: _copy(inside, tables, source="lake", target=_OTHER))
    finally:
        connection.execute(f"detach {_OTHER}")


def import_catalog(origin: Lake, target: Lake) -> None:
    """Copy the catalog of a lake into that of an empty one, whose data files are there by now; all of it or nothing.

    Raises `Refused` if the target has tables already.
    """
    with write_lake(target, purpose=f"bring in the catalog of {origin.home}") as connection:
        _check_empty(connection, target)
        attach_other(connection, origin, _OTHER)
        try:
            tables = origin.catalog.list_tables()
            run_transaction(connection, lambda inside: _copy(inside, tables, source=_OTHER, target="lake"))
        finally:
            connection.execute(f"detach {_OTHER}")


def check_empty(lake: Lake) -> None:
    """Check that a lake has no tables, if it is there at all; raises `Refused`."""
    if lake.catalog.exists():
        with write_lake(lake, purpose="look whether it is empty") as connection:
            _check_empty(connection, lake)


def _check_empty(connection: "duckdb.DuckDBPyConnection", lake: Lake) -> None:
    if count := connection.execute(_TABLES).fetchall()[0][0]:
        raise Refused(
            f"the lake at {lake.catalog.describe()} has {count} tables already; name an empty database. "
            "Nothing was written"
        )


def _copy(connection: "duckdb.DuckDBPyConnection", tables: "Iterable[str]", *, source: str, target: str) -> None:
    # Under these names DuckLake attaches its catalogs itself.
    before, after = f"__ducklake_metadata_{source}", f"__ducklake_metadata_{target}"
    for name in map(quote_name, tables):
        connection.execute(f"create table if not exists {after}.{name} as from {before}.{name} limit 0")
        connection.execute(f"delete from {after}.{name}")  # noqa: S608 - quoted
        connection.execute(f"insert into {after}.{name} by name from {before}.{name}")
