"""Files read as raw rows: CSV, JSONL and Parquet become texts by source column, in constant memory.

Every row comes out, the unreadable ones with their fault. What the columns mean, which rows are good and
how authors are hidden belongs elsewhere.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os.path import commonpath
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from feature_repo.errors import BadData
from feature_repo.sources.csv_records import SHOWN_CHARS, Line, read_lines, read_records
from feature_repo.sources.json_objects import parse_object
from feature_repo.sources.parquet_texts import read_texts

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_PEEKED_LINES: Final = 100
_PARQUET_ROWS: Final = 4_096


class RawRow(NamedTuple):
    """One row as the source has it.

    `position` is its line (CSV, JSONL) or row (Parquet) from 1. `keys` and `values` go together; values
    are texts or null. With a `fault` the row could not be split: its first key is then "line", with
    "note" beside it if the line is not whole.
    """

    position: int
    keys: tuple[str, ...]
    values: tuple[str | None, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file that has been found readable.

    `name` is unique within the command: the file's name, or as much of the path as tells files apart.
    `columns` are the file's, for JSONL those of its first objects.
    """

    path: Path
    name: str
    columns: tuple[str, ...]

    @property
    def has_header(self) -> bool:
        """Whether every row has the file's columns."""
        return self.path.suffix.lower() not in (".jsonl", ".ndjson")


def open_sources(paths: Sequence[Path]) -> tuple[Source, ...]:
    """The files of one command, each checked down to its header; a path given twice counts once.

    Raises
    ------
    BadData
        If there is no file, or one is missing, a folder, unreadable, empty, of an unknown kind or
        encoding, or has no usable header.
    """
    unique = tuple(dict.fromkeys(path.absolute() for path in paths))
    if not unique:
        raise BadData("expected at least one file to ingest, found none")
    names = _name_files(unique)
    return tuple(Source(path, name, _read_columns(path)) for path, name in zip(unique, names, strict=True))


def read_rows(source: Source) -> Iterator[RawRow]:
    """Every row of a file in order; blank lines are none."""
    return _FORMATS[source.path.suffix.lower()].read_rows(source)


def _name_files(paths: Sequence[Path]) -> tuple[str, ...]:
    names = tuple(path.name for path in paths)
    if len(set(names)) == len(names):
        return names
    return tuple(str(path.relative_to(commonpath(paths))) for path in paths)


def _read_columns(path: Path) -> tuple[str, ...]:
    _check_file(path)
    columns = _FORMATS[path.suffix.lower()].read_columns(path)
    doubled = [repr(column) for column, count in Counter(columns).items() if count > 1]
    if doubled:
        raise BadData(f"{path.name} has more than one column named {', '.join(doubled)}; rename or drop one")
    return columns


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise BadData(f"cannot read {path}: {error}") from None
    if not path.is_file():
        raise BadData(f"expected a file, found a folder or device: {path}; name the files in it")
    if path.suffix.lower() not in _FORMATS:
        raise BadData(f"expected a file ending in {', '.join(_FORMATS)}, found {path.name}")
    if not size:
        raise BadData(f"{path.name} is empty; expected at least a header")


def _open_text(path: Path) -> BinaryIO:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadData(f"cannot read {path}: {error.strerror}") from None
    start = file.read(3)
    if start.startswith(_UTF16_BOMS):
        file.close()
        raise BadData(f"{path.name} is encoded in UTF-16, expected UTF-8; save it as UTF-8")
    file.seek(len(_UTF8_BOM) if start == _UTF8_BOM else 0)
    return file


def _build_unreadable(position: int, line: str, fault: str) -> RawRow:
    if fault != "line_too_long":
        return RawRow(position, ("line",), (line,), fault)
    return RawRow(position, ("line", "note"), (line, f"cut to its first {SHOWN_CHARS} bytes"), fault)


def _read_csv_columns(path: Path) -> tuple[str, ...]:
    with _open_text(path) as file:
        header = next(read_records(read_lines(file)), None)
    if header is None:
        raise BadData(f"{path.name} holds only blank lines; expected at least a header")
    if header.fault:
        raise BadData(f"the header of {path.name} cannot be read ({header.fault}): {header.line[:200]!r}")
    return tuple(header.fields)


def _read_csv(source: Source) -> Iterator[RawRow]:
    with _open_text(source.path) as file:
        lines = read_lines(file)
        next(read_records(lines))  # the header
        for record in read_records(lines, len(source.columns)):
            if record.fault:
                yield _build_unreadable(record.position, record.line, record.fault)
            else:
                yield RawRow(record.position, source.columns, tuple(record.fields))


def _read_jsonl_columns(path: Path) -> tuple[str, ...]:
    with _open_text(path) as file:
        rows = (_build_jsonl_row(line) for line in islice(read_lines(file), _PEEKED_LINES))
        return tuple(dict.fromkeys(key for row in rows if not row.fault for key in row.keys))


def _read_jsonl(source: Source) -> Iterator[RawRow]:
    with _open_text(source.path) as file:
        for line in read_lines(file):
            if not line.text.isspace():
                yield _build_jsonl_row(line)


def _build_jsonl_row(line: Line) -> RawRow:
    fields, fault = ({}, line.fault) if line.fault else parse_object(line.text)
    if fault:
        return _build_unreadable(line.number, line.text.rstrip("\r\n"), fault)
    return RawRow(line.number, tuple(fields), tuple(fields.values()))


def _open_parquet(path: Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise BadData(f"{path.name} is not a readable Parquet file: {error}") from None


def _read_parquet_columns(path: Path) -> tuple[str, ...]:
    with _open_parquet(path) as file:
        return tuple(file.schema_arrow.names)


def _read_parquet(source: Source) -> Iterator[RawRow]:
    position = 0
    with _open_parquet(source.path) as file:
        try:
            for batch in file.iter_batches(_PARQUET_ROWS):
                for values, fault in read_texts(batch):
                    position += 1
                    yield _build_parquet_row(source.columns, position, values, fault)
        except (OSError, pa.ArrowException) as error:
            raise BadData(f"{source.name} is damaged after row {position}: {error}") from None


def _build_parquet_row(
    columns: tuple[str, ...], position: int, values: tuple[str | None, ...], fault: str | None
) -> RawRow:
    if not fault:
        return RawRow(position, columns, values)
    whole = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)
    return _build_unreadable(position, whole, fault)


class _Format(NamedTuple):
    read_columns: Callable[[Path], tuple[str, ...]]
    read_rows: Callable[[Source], Iterator[RawRow]]


_FORMATS: Final = {
    ".csv": _Format(_read_csv_columns, _read_csv),
    ".jsonl": _Format(_read_jsonl_columns, _read_jsonl),
    ".ndjson": _Format(_read_jsonl_columns, _read_jsonl),
    ".parquet": _Format(_read_parquet_columns, _read_parquet),
}
