"""A search through all of a state folder that decodes what hides text: an oracle, which shares no code with erasing."""

import gzip
import html
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

_DUCKDB_AT = 8  # where a DuckDB file says what it is


def find_needles(home: Path, *needles: str) -> list[str]:
    """Files below a folder in which one of the needles stands, decoded or byte by byte; sorted, relative.

    A needle that is followed by a point and more is another one: the id of a reply begins with that of its thread.
    """
    patterns = [re.compile(re.escape(form) + r"(?!\.[\w-])") for needle in needles for form in _write_forms(needle)]
    files = sorted(one for one in home.rglob("*") if one.is_file())
    return [str(path.relative_to(home)) for path in files if any(_search(path, patterns))]


def _search(path: Path, patterns: list[re.Pattern[str]]) -> Iterator[bool]:
    return (bool(pattern.search(content)) for content in _decode_file(path) for pattern in patterns)


def _write_forms(needle: str) -> set[str]:
    plain = {needle, html.escape(needle), *(json.dumps(needle, ensure_ascii=flag)[1:-1] for flag in (True, False))}
    return plain | {json.dumps(form)[1:-1] for form in plain}


def _decode_file(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    yield from _decode_bytes(content)
    if content[:4] == b"PAR1" and content[-4:] == b"PAR1":
        yield str(duckdb.execute("from read_parquet(?)", [str(path)]).fetchall())
    if content[_DUCKDB_AT : _DUCKDB_AT + 4] == b"DUCK":
        yield from _decode_duckdb(path)
    if content.startswith(b"SQLite format 3\0"):
        yield from _decode_sqlite(path)


def _decode_bytes(content: bytes) -> Iterator[str]:
    """The content as UTF-8 and as UTF-16 at either offset, and what archives hold."""
    yield content.decode("utf-8", errors="replace")
    yield content.decode("utf-16-le", errors="replace")
    yield content[1:].decode("utf-16-le", errors="replace")
    if content.startswith(b"\x1f\x8b"):
        yield from _decode_bytes(gzip.decompress(content))
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _decode_bytes(archive.read(name))


def _decode_duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("select database_name, schema_name, table_name from duckdb_tables()").fetchall()
        for table in tables:
            yield str(connection.execute("from " + ".".join(f'"{part}"' for part in table)).fetchall())


def _decode_sqlite(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for name in names:
            for row in connection.execute(f'select * from "{name}"'):
                for value in row:
                    yield from _decode_bytes(value) if isinstance(value, bytes) else [str(value)]
