"""One SELECT on the lake, for people and scripts: read-only, locked, rows as a table or in a file."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import duckdb
from rich.console import Console

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from flows.report import Grid, Report, print_report
from flows.sandbox import check_is_one_select
from flows.settings import read_settings
from flows.terminal import Format

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_SHOWN_ROWS: Final = 1_000


def run_query(query: str, format_: Format, output: Path | None, *, is_overwriting: bool = False) -> None:
    """Run one SELECT and write its rows.

    Raises `BadData` for anything else, what DuckDB refuses, and a file that is there already and may not be replaced.
    """
    if output is None and format_ is Format.parquet:
        raise BadData("Parquet is not for a terminal; name a file with --output")
    if output is not None and output.is_file() and not is_overwriting:
        raise BadData(f"{output} is there already; name another file, or say --overwrite")
    lake = read_settings().lake
    if output is None and format_ is Format.table:
        print_report(_select(lake, query, _read_report), Console())
    else:
        write_rows(read_rows(lake, query), format_, output)


def read_rows(lake: Lake, query: str) -> "pa.Table":
    """Read the rows of one SELECT on a connection that can neither write nor look outside the lake."""
    return _select(lake, query, lambda cursor: cursor.to_arrow_table())


def _select(lake: Lake, query: str, fetch: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    check_is_one_select(query)
    with read_lake(lake, is_locked=True) as connection:
        try:
            return fetch(connection.execute(query))
        except duckdb.Error as error:
            raise BadData(f"DuckDB says: {error}") from None


def _read_report(cursor: duckdb.DuckDBPyConnection) -> Report:
    # Plain tuples: Arrow would take longer to import than the query takes to run.
    names = tuple(column[0] for column in cursor.description)
    shown = tuple(cursor.fetchmany(_SHOWN_ROWS))
    more = len(cursor.fetchall())
    notes = (f"{more:,} more rows; use --format csv to see all",) if more else ()
    return Report(f"{len(shown) + more:,} rows", grids=(Grid(names, shown),), notes=notes)


def write_rows(rows: "pa.Table", format_: Format, output: Path | None) -> None:
    """Write rows to a file, at once or not at all, or to standard output if None; a table in a file is CSV."""
    if output is None:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "rows"
            _copy_rows(rows, format_, draft)
            with draft.open(encoding="utf-8", newline="") as written:
                shutil.copyfileobj(written, sys.stdout)
        return
    is_special = output.exists() and not output.is_file()  # a pipe or a device has no draft
    draft = output if is_special else output.with_name(f".{output.name}.draft")
    try:
        _copy_rows(rows, format_, draft)
        if not is_special:
            draft.replace(output)
    except duckdb.IOException as error:
        raise BadData(f"cannot write {output}: {error}") from None
    finally:
        if not is_special:
            draft.unlink(missing_ok=True)


def _copy_rows(rows: "pa.Table", format_: Format, target: Path) -> None:
    relation = duckdb.from_arrow(rows)
    if format_ is Format.parquet:
        relation.write_parquet(str(target), compression="zstd")
    elif format_ is Format.json:
        duckdb.execute("copy (from relation) to $1 (format json, array true)", [str(target)])
    else:
        relation.write_csv(str(target), header=True)
