"""Records of a CSV file, read so that no good record is lost behind a broken one.

A strict RFC 4180 reader over physical lines. What a record means, and other kinds of files, belong
elsewhere. `read_lines` also serves every other format of one record a line.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

MAX_RECORD_BYTES: Final = 2**20
MAX_RECORD_LINES: Final = 10_000
SHOWN_CHARS: Final = 4_000

_FIELD: Final = r'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\r\n]*+)'
# Python's strict mode still accepts a quote inside an unquoted field, the usual trace of a lost quote.
_RECORD: Final = re.compile(rf"{_FIELD}(?:,{_FIELD})*[\r\n]*")


class Line(NamedTuple):
    """One physical line: its number from 1, its text with the line end, and why no record can hold it."""

    number: int
    text: str
    fault: str | None


class Record(NamedTuple):
    """One record: the line it begins on, its fields, or its first line and what is wrong with it."""

    position: int
    fields: list[str]
    line: str
    fault: str | None


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """Physical lines of a file in UTF-8, never holding more than `MAX_RECORD_BYTES` of one.

    A line that is too long, holds a NUL or is not UTF-8 comes with its fault; of a too long one only the
    first `SHOWN_CHARS` bytes are kept.
    """
    number = 0
    while raw := file.readline(MAX_RECORD_BYTES + 1):
        number += 1
        if len(raw) > MAX_RECORD_BYTES:
            _skip_line(file, raw)
            yield Line(number, raw[:SHOWN_CHARS].decode(errors="replace"), "line_too_long")
        else:
            yield _decode_line(number, raw)


def read_records(lines: Iterable[Line], width: int | None = None) -> Iterator[Record]:
    """Records of a CSV file in order; blank lines are none.

    A record is broken if its quotes are, if it spans more than `MAX_RECORD_BYTES` or `MAX_RECORD_LINES`,
    if a line of it has a fault, or if it has not `width` fields. Then its first line alone is given up,
    and reading goes on at the next line, since what looked like one record may be an open quote followed
    by many good ones.
    """
    # A process-wide setting of Python's; the default would break good records with a long unused column.
    csv.field_size_limit(MAX_RECORD_BYTES)
    feed = _Feed(lines)
    reader = csv.reader(feed, strict=True)
    while feed.has_more():
        fields, fault = _read_fields(reader, feed, width)
        first = feed.taken[0]
        if fault:
            feed.rewind()
        if fields or fault:
            yield Record(first.number, fields, first.text.rstrip("\r\n") if fault else "", fault)


def _skip_line(file: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(MAX_RECORD_BYTES)


def _decode_line(number: int, raw: bytes) -> Line:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Line(number, raw.decode(errors="replace"), "line_not_utf8")
    return Line(number, text, "line_nul" if "\0" in text else None)


class _BrokenRecordError(Exception):
    """A line that cannot be part of the record being read."""


class _Feed:
    """Lines for the CSV reader, remembered until their record is accepted, so that it can be read anew."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._waiting: deque[Line] = deque()
        self._size = 0
        self.taken: list[Line] = []

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        self.taken.append(line)
        self._size += len(line.text)
        if line.fault:
            # Further down, the line has an entry of its own; what is wrong with the first is the open quote.
            raise _BrokenRecordError(line.fault if len(self.taken) == 1 else "line_broken_quotes")
        if self._size > MAX_RECORD_BYTES or len(self.taken) > MAX_RECORD_LINES:
            raise _BrokenRecordError("line_broken_quotes")
        return line.text

    def has_more(self) -> bool:
        """Begin a record; False at the end of the file."""
        self.taken = []
        self._size = 0
        if not self._waiting:
            line = next(self._lines, None)
            if line is None:
                return False
            self._waiting.append(line)
        return True

    def rewind(self) -> None:
        self._waiting.extendleft(reversed(self.taken[1:]))


def _read_fields(reader: Iterator[list[str]], feed: _Feed, width: int | None) -> tuple[list[str], str | None]:
    try:
        fields = next(reader)
    except _BrokenRecordError as error:
        return [], str(error)
    except csv.Error:
        return [], "line_broken_quotes"
    if fields and _has_stray_quote(feed.taken):
        return [], "line_broken_quotes"
    if fields and width is not None and len(fields) != width:
        return [], "line_field_count"
    return fields, None


def _has_stray_quote(lines: list[Line]) -> bool:
    text = lines[0].text if len(lines) == 1 else "".join(line.text for line in lines)
    return '"' in text and not _RECORD.fullmatch(text)
