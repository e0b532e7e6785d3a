"""Candidates: staged rows told, read and checked with DuckDB alone, before the lake is locked.

Nothing here sees the lake: what depends on what it already holds belongs to `batches`. How a mapping
becomes SQL belongs to `mapping_sql`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import Final

import duckdb

from feature_repo.lake import Lake
from feature_repo.sources.kinds import KINDS
from feature_repo.sources.mapping import ColumnSource
from feature_repo.sources.mapping_sql import Parameters, build_select

_READING: Final = (Path(__file__).parent / "reading.sql").read_text(encoding="utf-8")
_REASONS: Final = """
select reason, count(*) from (select unnest(reasons) as reason from read_parquet(?)) group by 1 order by 2 desc, 1
"""


_ROWS_BAD: Final = "select count(*) from read_parquet(?) where len(reasons) > 0"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Checked rows in a Parquet file, one per staged row.

    Each has row, file, position, the columns of its kind (null if not told or not readable), reasons
    (empty for a good row) and payload (the source's row as a JSON object, for a bad one).

    `pattern` is the file's path as `read_parquet` wants it. `reasons` counts rows by reason code, most
    frequent first; a row can have several.
    """

    pattern: str
    rows_bad: int
    reasons: Mapping[str, int]


def build_candidates(
    lake: Lake, folder: Path, kind: str, *, columns: Mapping[str, ColumnSource], now: datetime, task: str | None
) -> Candidates:
    """The candidates made of the staged rows of a folder, written beside them; see `mapping_sql.build_select`."""
    pattern = escape(str(folder))
    parameters = Parameters({"rows": f"{pattern}/rows-*.parquet", "candidates": str(folder / "candidates.parquet")})
    select = build_select(KINDS[kind], columns, now=now, task=task, parameters=parameters)
    with _open_workspace(lake, folder) as connection:
        connection.execute(f"copy ({select}) to $candidates (format parquet)", parameters.values)
        pattern += "/candidates.parquet"
        reasons = dict(connection.execute(_REASONS, [pattern]).fetchall())
        rows_bad = connection.execute(_ROWS_BAD, [pattern]).fetchall()[0][0]
    return Candidates(pattern, rows_bad, reasons)


@contextmanager
def _open_workspace(lake: Lake, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of its own without any lake, which spills into the folder."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(folder),
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set preserve_insertion_order = false")
        if lake.memory_limit:
            connection.execute("set memory_limit = ?", [lake.memory_limit])
        connection.execute(_READING)
        yield connection
