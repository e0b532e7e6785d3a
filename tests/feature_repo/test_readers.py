"""Files of every format, read as raw rows, and the checks before any row is read."""

import datetime as dt
import decimal
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from feature_repo.errors import BadData
from feature_repo.sources.json_objects import parse_object
from feature_repo.sources.readers import RawRow, open_sources, read_rows


def _write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _read(path: Path) -> list[RawRow]:
    (source,) = open_sources([path])
    return list(read_rows(source))


def _write_parquet(path: Path, **columns: pa.Array) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_csv_rows_come_with_their_line_and_columns(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", '"",id,text\n1,a,"two\nlines"\n2,b,\n')
    assert _read(path) == [
        RawRow(2, ("", "id", "text"), ("1", "a", "two\nlines")),
        RawRow(4, ("", "id", "text"), ("2", "b", "")),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", b"\xef\xbb\xbfid,text\n1,a\n")
    assert open_sources([path])[0].columns == ("id", "text")


def test_a_header_without_rows_is_no_error(tmp_path: Path) -> None:
    assert _read(_write(tmp_path / "rows.csv", "id,text\n")) == []
    assert _read(_write(tmp_path / "rows.jsonl", "\n")) == []
    assert _read(_write_parquet(tmp_path / "rows.parquet", id=pa.array([], pa.string()))) == []


def test_a_broken_csv_line_is_shown_whole_and_a_very_long_one_cut(tmp_path: Path) -> None:
    path = _write(tmp_path / "rows.csv", b'id,text\n1,"a\n2,' + b"x" * 2_000_000 + b"\n")
    assert _read(path) == [
        RawRow(2, ("line",), ('1,"a',), "line_broken_quotes"),
        RawRow(3, ("line", "note"), ("2," + "x" * 3_998, "cut to its first 4000 bytes"), "line_too_long"),
    ]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('{"id": "a", "text": "b"}', {"id": "a", "text": "b"}),
        ('{"n": 12345678901234567890, "x": 19.0, "y": 0.5}', {"n": "12345678901234567890", "x": "19.0", "y": "0.5"}),
        ('{"yes": true, "no": false, "none": null}', {"yes": "true", "no": "false", "none": None}),
        ('{"nested": {"a": [1, "é"]}, "empty": []}', {"nested": '{"a": [1, "é"]}', "empty": "[]"}),
        ('{"": "blank key", "emoji": "\\ud83d\\ude03"}', {"": "blank key", "emoji": "😃"}),
        ("{}", {}),
    ],
)
def test_an_object_becomes_texts(line: str, fields: dict[str, str | None]) -> None:
    assert parse_object(line) == (fields, None)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"id": "a"', "line_not_json"),
        ("{'id': 'a'}", "line_not_json"),
        ('{"id": NaN}', "line_not_json"),
        ('{"id": Infinity}', "line_not_json"),
        ('{"id": "a"} {"id": "b"}', "line_not_json"),
        ('{"id": "\\ud83d"}', "line_not_json"),
        ('{"id": ' + "9" * 5_000 + "}", "line_not_json"),
        ("[" * 100_000, "line_not_json"),
        ('["a"]', "line_not_an_object"),
        ('"a"', "line_not_an_object"),
        ("null", "line_not_an_object"),
        ('{"id": "a", "id": "b"}', "line_doubled_key"),
        ('{"deep": {"id": 1, "id": 2}}', "line_doubled_key"),
        ('{"id": "a\\u0000b"}', "line_nul"),
    ],
)
def test_what_is_not_one_clear_object_is_refused(line: str, fault: str) -> None:
    assert parse_object(line) == ({}, fault)


def test_jsonl_rows_may_differ_in_their_keys(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "rows.jsonl", b'\xef\xbb\xbf{"id": "a"}\n\n{"text": "t", "id": "b"}\r\nbroken\n\xff\n{"id": "c"}'
    )
    assert open_sources([path])[0].columns == ("id", "text")
    assert _read(path) == [
        RawRow(1, ("id",), ("a",)),
        RawRow(3, ("text", "id"), ("t", "b")),
        RawRow(4, ("line",), ("broken",), "line_not_json"),
        RawRow(5, ("line",), ("\ufffd",), "line_not_utf8"),
        RawRow(6, ("id",), ("c",)),
    ]


_NOON = dt.datetime(2024, 3, 1, 12, 0, 0, 500_000)  # noqa: DTZ001 - a type without zone is among the cases


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None, ""]), ["a", None, ""]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([1, None, -(2**63)]), ["1", None, "-9223372036854775808"]),
        (pa.array([19.0, 0.5, float("nan")]), ["19", "0.5", None]),
        (pa.array([1e15, float("inf"), None]), ["1000000000000000", "inf", None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
        (pa.array([_NOON], pa.timestamp("us")), ["2024-03-01 12:00:00.500000"]),
        (pa.array([_NOON], pa.timestamp("us", "UTC")), ["2024-03-01 12:00:00.500000Z"]),
        (pa.array([_NOON], pa.timestamp("us", "Asia/Tokyo")), ["2024-03-01 21:00:00.500000+0900"]),
        (pa.array([_NOON.date()]), ["2024-03-01"]),
        (pa.array([b"bytes"]), ["bytes"]),
        (pa.array([["a", "b"]]), ['["a", "b"]']),
        (pa.array([{"a": 1}]), ['{"a": 1}']),
        (pa.nulls(1), [None]),
    ],
)
def test_parquet_values_of_every_type_become_texts(tmp_path: Path, column: pa.Array, texts: list[str | None]) -> None:
    rows = _read(_write_parquet(tmp_path / "rows.parquet", value=column))
    assert rows == [RawRow(number, ("value",), (text,)) for number, text in enumerate(texts, 1)]


def test_a_parquet_row_with_unreadable_text_is_refused_alone(tmp_path: Path) -> None:
    path = _write_parquet(tmp_path / "rows.parquet", id=pa.array([1, 2, 3]), text=pa.array([b"a", b"\xffb", b"c\0"]))
    assert _read(path) == [
        RawRow(1, ("id", "text"), ("1", "a")),
        RawRow(2, ("line",), (json.dumps({"id": "2", "text": "\ufffdb"}, ensure_ascii=False),), "line_not_utf8"),
        RawRow(3, ("line",), (json.dumps({"id": "3", "text": "c\0"}),), "line_nul"),
    ]


def test_a_parquet_file_with_pages_damaged_is_named_with_the_last_good_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"text": [f"text {n}" for n in range(10_000)]}), path, compression="none")
    content = bytearray(path.read_bytes())
    content[40:4_000] = b"\xff" * 3_960
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"rows\.parquet is damaged after row 0"):
        _read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv is empty; expected at least a header"),
        ("empty.jsonl", b"", "empty.jsonl is empty"),
        ("empty.parquet", b"", "empty.parquet is empty"),
        ("blank.csv", b"\n\n", "blank.csv holds only blank lines"),
        ("mark.csv", b"\xef\xbb\xbf", "mark.csv holds only blank lines"),
        ("doubled.csv", b"id,text,id,text\n", "more than one column named 'id', 'text'; rename or drop one"),
        ("utf16.csv", "id,text\n".encode("utf-16"), "utf16.csv is encoded in UTF-16, expected UTF-8"),
        ("utf16.jsonl", b"\xfe\xff\0{\0}", "utf16.jsonl is encoded in UTF-16"),
        ("markless.csv", "id,text\n".encode("utf-16-le"), r"header of markless.csv cannot be read \(line_nul\)"),
        ("latin.csv", "id,größe\n".encode("latin-1"), r"header of latin.csv cannot be read \(line_not_utf8\)"),
        ("quotes.csv", b'id,"text\n1,a\n', r"header of quotes.csv cannot be read \(line_broken_quotes\): 'id,\"text'"),
        ("long.csv", b"x" * 2_000_000, r"header of long.csv cannot be read \(line_too_long\)"),
        ("corrupt.parquet", b"PAR1 no more", "corrupt.parquet is not a readable Parquet file"),
        ("rows.xlsx", b"PK", r"expected a file ending in \.csv, \.jsonl, \.ndjson, \.parquet, found rows\.xlsx"),
        ("rows", b"id\n", "found rows"),
    ],
)
def test_a_file_without_usable_columns_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(BadData, match=message):
        open_sources([_write(tmp_path / name, content)])


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadData, match=r"cannot read .*missing\.csv: .*No such file"):
        open_sources([tmp_path / "missing.csv"])
    with pytest.raises(
        BadData, match=r"expected a file, found a folder or device: .*folder\.csv; name the files in it"
    ):
        open_sources([tmp_path / "folder.csv"])
    with pytest.raises(BadData, match="cannot read"):
        open_sources([tmp_path / ("n" * 300 + ".csv")])
    with pytest.raises(BadData, match="cannot read"):
        open_sources([tmp_path / "nul\0.csv"])
    with pytest.raises(BadData, match="expected at least one file to ingest, found none"):
        open_sources([])


def test_every_file_is_checked_before_any_is_read(tmp_path: Path) -> None:
    good = _write(tmp_path / "good.csv", "id\n1\n")
    with pytest.raises(BadData, match=r"missing\.csv"):
        open_sources([good, tmp_path / "missing.csv"])


def test_files_are_named_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    first, second = (_write(tmp_path / year / "rows.csv", "id\n1\n") for year in ("2023", "2024"))
    assert [source.name for source in open_sources([first])] == ["rows.csv"]
    assert [source.name for source in open_sources([first, second, first])] == ["2023/rows.csv", "2024/rows.csv"]
