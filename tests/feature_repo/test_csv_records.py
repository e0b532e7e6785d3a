"""The recovering CSV reader: good records survive whatever stands between them."""

import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.sources.csv_records import MAX_RECORD_BYTES, MAX_RECORD_LINES, Record, read_lines, read_records


def _read(content: bytes, width: int | None = 3) -> list[Record]:
    return list(read_records(read_lines(io.BytesIO(content)), width))


def _good(content: bytes) -> list[list[str]]:
    return [record.fields for record in _read(content) if not record.fault]


def _bad(content: bytes) -> list[tuple[int, str | None, str]]:
    return [(record.position, record.fault, record.line) for record in _read(content) if record.fault]


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"a,b,c\n", ["a", "b", "c"]),
        (b"a,b,c", ["a", "b", "c"]),
        (b"a,b,c\r\n", ["a", "b", "c"]),
        (b"a,,\n", ["a", "", ""]),
        (b'a,"b,b",c\n', ["a", "b,b", "c"]),
        (b'a,"say ""hi""",c\n', ["a", 'say "hi"', "c"]),
        (b'a,"",c\n', ["a", "", "c"]),
        (b'a,"two\nlines",c\n', ["a", "two\nlines", "c"]),
        (b'a,"two\r\nlines",c\r\n', ["a", "two\r\nlines", "c"]),
        (b'a,"lone\rreturn",c\n', ["a", "lone\rreturn", "c"]),
        ("a,Übung 😃 \ufeff,c\n".encode(), ["a", "Übung 😃 \ufeff", "c"]),
    ],
)
def test_a_good_record_is_read_as_it_stands(content: bytes, fields: list[str]) -> None:
    assert _read(content) == [Record(1, fields, "", None)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'x,"open,1', "line_broken_quotes"),
        (b'x,closed",1', "line_broken_quotes"),
        (b'x,"in"side",1', "line_broken_quotes"),
        (b'x,"after" it,1', "line_broken_quotes"),
        (b'x,un"quoted,1', "line_broken_quotes"),
        (b'"', "line_broken_quotes"),
        (b"x,lone\rreturn,1", "line_broken_quotes"),
        (b"x,few", "line_field_count"),
        (b"x,1,2,3", "line_field_count"),
        (b"   ", "line_field_count"),
        (b"x,\xff\xfe,1", "line_not_utf8"),
        (b"x,\xc3,1", "line_not_utf8"),
        (b"x,n\0l,1", "line_nul"),
        (b"x," + b"y" * MAX_RECORD_BYTES + b",1", "line_too_long"),
    ],
)
def test_a_broken_line_costs_no_good_one(line: bytes, fault: str) -> None:
    content = b'1,"a ""b""",2\n' + line + b'\n3,c,4\n5,"d\ne",6\n'
    assert _good(content) == [["1", 'a "b"', "2"], ["3", "c", "4"], ["5", "d\ne", "6"]]
    shown = line.decode(errors="replace")[: 4_000 if fault == "line_too_long" else None]
    assert _bad(content) == [(2, fault, shown)]


def test_blank_lines_are_no_records() -> None:
    assert _read(b"\na,b,c\n\r\n\nd,e,f\n\n") == [
        Record(2, ["a", "b", "c"], "", None),
        Record(5, ["d", "e", "f"], "", None),
    ]


def test_a_quote_that_is_never_closed_ends_at_the_limit_of_lines() -> None:
    lines = [b"%d,plain,text" % number for number in range(2 * MAX_RECORD_LINES)]
    content = b"\n".join([b'x,"open,1', *lines])
    assert len(_good(content)) == len(lines)
    assert _bad(content) == [(1, "line_broken_quotes", 'x,"open,1')]


def test_a_quote_that_is_never_closed_ends_at_the_limit_of_bytes() -> None:
    line = b"1," + b"y" * 100_000 + b",2\n"
    content = b'x,"open,1\n' + 20 * line
    assert len(_good(content)) == 20
    assert _bad(content) == [(1, "line_broken_quotes", 'x,"open,1')]


def test_a_field_longer_than_pythons_default_limit_is_read() -> None:
    assert _good(b"a," + b"y" * 500_000 + b",c\n") == [["a", "y" * 500_000, "c"]]


def test_a_field_of_nothing_but_quotes_is_read_in_one_pass() -> None:
    quotes = b'""' * 500_000
    assert _good(b'a,"' + quotes + b'",c\n') == [["a", '"' * 500_000, "c"]]
    assert _bad(b'a,"' + quotes + b'"x,c\n')[0][1] == "line_broken_quotes"
    assert _bad(b'a"b,"' + quotes + b'",c\n')[0][1] == "line_broken_quotes"


def test_a_line_of_50_megabytes_is_one_bad_row_in_little_memory() -> None:
    file = io.BytesIO(b"1,a,2\n" + b"x" * 50_000_000 + b"\n3,b,4\n")
    tracemalloc.start()
    records = list(read_records(read_lines(file), 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(record.position, record.fault, len(record.line)) for record in records] == [
        (1, None, 0),
        (2, "line_too_long", 4_000),
        (3, None, 0),
    ]
    assert peak < 10 * 2**20


Corrupt = Callable[[bytes], bytes]

_TEXTS = st.text(st.sampled_from('ab ,"\n\r😃é'), max_size=12).map(lambda text: "t" + text + "t")
_CORRUPTIONS: st.SearchStrategy[Corrupt] = st.sampled_from(
    [
        lambda line: line + b",extra",
        lambda line: line.split(b",")[0],
        lambda line: line + b"\xff",
        lambda line: b"\0" + line,
        lambda line: line.replace(b'"', b"", 1),
        lambda line: line[::-1].replace(b'"', b"", 1)[::-1],
        lambda line: b'"' + line,
    ]
)


def _write_record(position: int, text: str) -> bytes:
    quoted = '"' + text.replace('"', '""') + '"'
    return f"{position},{quoted},x".encode()


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(_TEXTS, st.none() | _CORRUPTIONS), max_size=12))
def test_every_good_record_survives_its_broken_neighbours(rows: list[tuple[str, Corrupt | None]]) -> None:
    """At most one broken line between two good ones: two together can be one legal record."""
    lines = []
    for number, (text, corrupt) in enumerate(rows):
        lines += [_write_record(number, text)] + ([corrupt(_write_record(number, "broken"))] if corrupt else [])
    content = b"\n".join(lines) + b"\n"
    assert _good(content) == [[str(number), text, "x"] for number, (text, _) in enumerate(rows)]
    assert len(_bad(content)) == sum(corrupt is not None for _, corrupt in rows)
