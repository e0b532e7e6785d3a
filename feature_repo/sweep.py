"""The sweep: traces of what is erased are taken out of the files beside the lake, whatever kind of file holds them.

Tables of rows lose the rows, databases and texts the mention. What a trace is, is in `traces`; the lake's own files
are `upkeep`'s.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, quote_name, read_lake
from feature_repo.storages import Storage
from feature_repo.traces import Traces

if TYPE_CHECKING:
    import duckdb

# How files of a kind begin, whatever they are called: a draft that was complete is one of them, too.
_PARQUET: Final = b"PAR1"
_SQLITE: Final = b"SQLite format 3\x00"
_DUCKDB: Final = b"DUCK"
_DUCKDB_AT: Final = 8  # after a checksum
_BESIDE_SQLITE: Final = ("-wal", "-shm", "-journal")
_PUBLISHED: Final = "published"
_MARK: Final = "select regexp_matches(cast(to_json(line) as varchar), $whole) as is_named from swept_rows as line"


@dataclass(frozen=True, slots=True)
class _Sweep:
    """How files are swept: by a connection that decodes rows, for what, whether at all, and how patiently."""

    connection: "duckdb.DuckDBPyConnection"
    traces: Traces
    is_dry: bool
    wait_seconds: float


@dataclass(slots=True)
class SweepReceipt:
    """What came of a sweep.

    Parameters
    ----------
    changed
        Files, below the home or with their address, that are without traces now.
    left
        Files that may hold one and cannot be changed, or cannot be looked into.
    rows
        Rows and mentions that were taken out.
    """

    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    rows: int = 0

    def add(self, name: str, count: int | None) -> None:
        """Add what came of a file: rows or mentions, or None if it cannot be changed."""
        if count is None:
            self.left.append(name)
        elif count:
            self.changed.append(name)
            self.rows += count


def sweep_files(lake: Lake, traces: Traces, *, is_dry: bool = False) -> SweepReceipt:
    """Take every trace out of the files of the home, the lake's and the published aside; safe to repeat after a kill.

    A file is replaced as a whole. Rows of Parquet, CSV and JSONL that name what is erased are dropped; elsewhere the
    mention is blotted out.

    Parameters
    ----------
    is_dry
        Changes nothing, and lists what would be changed.

    Raises
    ------
    Unavailable
        If a database is in use for too long.
    """
    receipt = SweepReceipt()
    with read_lake(lake) as connection:
        sweep = _Sweep(connection, traces, is_dry, lake.lock_wait_seconds)
        for path in sorted(_list_files(lake)):
            receipt.add(str(path.relative_to(lake.home)), _sweep_file(path, sweep))
        if lake.bucket is not None:
            for file in lake.storage.list_files(lake.storage.artifacts):
                receipt.add(file.address, _sweep_shared(lake.storage, file.address, sweep))
    return receipt


def _sweep_shared(storage: Storage, file: str, sweep: _Sweep) -> int | None:
    """The same for a file of a model that lies elsewhere."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / file.rpartition("/")[2]
        copy.write_bytes(storage.read(file))
        count = _sweep_file(copy, sweep)
        if count and not sweep.is_dry:
            storage.write(file, copy.read_bytes())
    return count


def _list_files(lake: Lake) -> Iterator[Path]:
    own = (lake.folder, lake.home / _PUBLISHED)
    for path in lake.home.rglob("*"):
        is_own = any(path.is_relative_to(folder) for folder in own) or path.name.endswith(_BESIDE_SQLITE)
        if not is_own and path.is_file() and not path.is_symlink():
            yield path


def _sweep_file(path: Path, sweep: _Sweep) -> int | None:
    """How many rows or mentions were taken out of a file; None if it may have some and cannot be changed."""
    with path.open("rb") as file:
        head = file.read(len(_SQLITE))
    if head.startswith(_DUCKDB, _DUCKDB_AT):
        return None
    if head.startswith(_PARQUET):
        return _sweep_parquet(path, sweep)
    if head == _SQLITE:
        return _sweep_database(path, sweep)
    return _sweep_text(path, sweep)


def _sweep_text(path: Path, sweep: _Sweep) -> int | None:
    content = path.read_bytes()
    if path.suffix not in _RECORDS and not sweep.traces.may_be_in(content):
        return 0
    try:
        kept, count = _redact_text(path, content.decode("utf-8"), sweep.traces)
    except UnicodeDecodeError:
        return None if sweep.traces.may_be_in(content) else 0
    if count and not sweep.is_dry:
        draft = path.with_name(f"{path.name}.draft")
        draft.write_bytes(kept.encode("utf-8"))
        draft.chmod(path.stat().st_mode)
        draft.replace(path)
    return count


def _redact_text(path: Path, text: str, traces: Traces) -> tuple[str, int]:
    read_records = _RECORDS.get(path.suffix)
    if read_records is None:
        kept = traces.redact(text)
        return kept, int(kept != text)
    records = list(read_records(text))
    rest = [raw for raw, line in records if not (traces.is_named(line) or traces.is_named(raw))]
    return "".join(rest), len(records) - len(rest)


def _read_lines(text: str) -> Iterator[tuple[str, str]]:
    """The lines of a text twice: as they are, and as JSON."""
    return ((line, line) for line in io.StringIO(text, newline=""))


def _read_csv(text: str) -> Iterator[tuple[str, str]]:
    """The records of a CSV text, as they are and as JSON; from where it is broken, its lines."""
    lines = list(io.StringIO(text, newline=""))
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # process-wide, and whoever set it before
    # Strict: a quote that nobody closes would make one record of all that follows it.
    begin, reader = 0, csv.reader(iter(lines), strict=True)
    try:
        for record in reader:
            yield "".join(lines[begin : reader.line_num]), json.dumps(record, ensure_ascii=False)
            begin = reader.line_num
    except csv.Error:
        yield from _read_lines("".join(lines[begin:]))


_RECORDS: Final[dict[str, Callable[[str], Iterator[tuple[str, str]]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
}


def _sweep_parquet(path: Path, sweep: _Sweep) -> int | None:
    try:
        source = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        return None
    with source:
        found = sum(pc.sum(is_named).as_py() or 0 for _, is_named in _mark_rows(source, sweep))
        if found and not sweep.is_dry:
            draft = path.with_name(f"{path.name}.draft")
            with pq.ParquetWriter(draft, source.schema_arrow, compression="zstd") as writer:
                for batch, is_named in _mark_rows(source, sweep):
                    writer.write_batch(batch.filter(pc.invert(is_named)))
            draft.replace(path)
    return int(found)


def _mark_rows(source: pq.ParquetFile, sweep: _Sweep) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Each batch of rows, with which of them have a trace as some value."""
    for batch in source.iter_batches():
        sweep.connection.register("swept_rows", pa.Table.from_batches([batch]))
        found = sweep.connection.execute(_MARK, {"whole": sweep.traces.whole}).to_arrow_table()
        sweep.connection.unregister("swept_rows")
        yield batch, found.column("is_named").combine_chunks()


def _sweep_database(path: Path, sweep: _Sweep) -> int:
    """Blot the mentions out of a SQLite database, its free pages and its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    has_bytes = any(sweep.traces.may_be_in(file.read_bytes()) for file in files if file.exists())
    try:
        with closing(sqlite3.connect(path, timeout=sweep.wait_seconds, isolation_level=None)) as connection:
            connection.create_function("redact", 1, sweep.traces.redact, deterministic=True)
            count = sum(_redact_table(connection, table, is_dry=sweep.is_dry) for table in _list_tables(connection))
            if not sweep.is_dry and (count or has_bytes):
                connection.execute("vacuum")
                _truncate_log(connection)
    except sqlite3.OperationalError as error:
        raise Unavailable(f"{path} could not be rewritten ({error}); erase again when nothing uses it") from error
    return count


def _truncate_log(connection: sqlite3.Connection) -> None:
    is_busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("it is being read")


def _redact_table(connection: sqlite3.Connection, table: str, *, is_dry: bool) -> int:
    columns = [quote_name(name) for _, name, *_ in connection.execute(f"pragma table_info({quote_name(table)})")]
    where = "where typeof({0}) = 'text' and redact({0}) <> {0}"
    sql = "select 1 from {1} " if is_dry else "update {1} set {0} = redact({0}) "
    count = 0
    for column in columns:
        done = connection.execute((sql + where).format(column, quote_name(table)))
        count += len(done.fetchall()) if is_dry else done.rowcount
    return count


def _list_tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
    return [name for (name,) in found.fetchall()]
