"""Malformed input of every kind, all the way: a clear error or quarantined rows, and never a lost good row."""

import datetime as dt
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.sources.quarantine import list_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
HEADER = b"comment_id,text,like_count,published_at\n"


def _ingest(lake: Lake, name: str, content: bytes, **request: Any) -> IngestReceipt:
    path = lake.home / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    told: dict[str, Any] = {
        "kind": "comments",
        "paths": (path,),
        "mapping": read_mapping(),
        "source": "test",
        "run_id": "r1",
        "bad_row_share_limit": 1.0,
    }
    return ingest_files(lake, IngestRequest(now=NOW, author_key=b"key", **told | request))


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def _reasons(lake: Lake) -> dict[int, tuple[str, ...]]:
    return {row.position: row.reasons for row in list_quarantine(lake)}


def test_a_csv_of_horrors_costs_no_good_row(lake: Lake) -> None:
    lines: list[tuple[bytes, tuple[str, ...] | None]] = [
        (b"g1,good,1,2024-03-01T00:00:00Z", None),
        (b"b1,wrong \xe9ncoding,1,", ("line_not_utf8",)),
        (b"b2,a\0NUL,1,", ("line_nul",)),
        (b'b3,"never closed,1,', ("line_broken_quotes",)),
        (b'g2,"good",2,2024-03-01T00:00:00+02:00', None),
        (b'b4,never opened",1,', ("line_broken_quotes",)),
        (b"b5,too,many,fields,here", ("line_field_count",)),
        (b"b6", ("line_field_count",)),
        (b"x" * 50_000_000, ("line_too_long",)),
        (b"g3,good,3,", None),
        (b"b7,negative,-1,", ("like_count_negative",)),
        (b"b8,half,1.5,", ("like_count_malformed",)),
        (b"b9,mixed date,1,01/03/2024", ("published_at_malformed",)),
        (b"b10,impossible date,1,2024-02-30T00:00:00Z", ("published_at_malformed",)),
        (b"b11,no zone,1,2024-03-01T00:00:00", ("published_at_without_zone",)),
        (b"b12,future,1,2031-01-01T00:00:00Z", ("published_at_out_of_range",)),
        (b"b13,before YouTube,1,1999-01-01T00:00:00Z", ("published_at_out_of_range",)),
        (b",no id,1,", ("comment_id_missing",)),
        (b"b14,,1,", ("text_missing",)),
        (b"b15, \xef\xbb\xbf ,1,", ("text_missing",)),
        (b"y" * 129 + b",long id,1,", ("comment_id_malformed",)),
        (b"b16," + b"z" * 10_001 + b",1,", ("text_length",)),
        (b"g4,good,4,", None),
        (b'"g\'5; drop table raw.comments; --",good,5,', None),
        (b'"g""6""",good,6,', None),
    ]
    receipt = _ingest(lake, "rows.csv", HEADER + b"\n".join(line for line, _ in lines))
    bad = {number: reasons for number, (_, reasons) in enumerate(lines, 2) if reasons}
    assert _reasons(lake) == bad
    assert (receipt.rows_read, receipt.rows_quarantined_total) == (len(lines), len(bad))
    assert _query(lake, "select like_count, comment_id from raw.comment_counts order by 1") == [
        (1, "g1"),
        (2, "g2"),
        (3, "g3"),
        (4, "g4"),
        (5, "g'5; drop table raw.comments; --"),
        (6, 'g"6"'),
    ]
    assert all(len(row.payload) < 11_000 for row in list_quarantine(lake))


def test_jsonl_of_horrors_costs_no_good_row(lake: Lake) -> None:
    lines: list[tuple[bytes, tuple[str, ...] | None]] = [
        (b'{"comment_id": "g1", "text": "good", "like_count": 1}', None),
        (b"{broken", ("line_not_json",)),
        (b"[]", ("line_not_an_object",)),
        (b'{"comment_id": "b1", "text": "\xff"}', ("line_not_utf8",)),
        (b'{"comment_id": "b2", "text": "a\\u0000b"}', ("line_nul",)),
        (b'{"comment_id": "b3", "text": "half a pair \\ud83d"}', ("line_not_json",)),
        (b'{"comment_id": "b4", "comment_id": "b5", "text": "t"}', ("line_doubled_key",)),
        (b'{"text": "' + b"x" * 2_000_000 + b'"}', ("line_too_long",)),
        (b'{"comment_id": "g2", "text": "good", "like_count": 2.0}', None),
        (b'{"comment_id": "b6", "text": "t", "like_count": true}', ("like_count_malformed",)),
        (b'{"comment_id": "b7", "text": "t", "like_count": [1]}', ("like_count_malformed",)),
        (b'{"comment_id": "b8", "text": null}', ("text_missing",)),
        (b'{"text": "no id"}', ("comment_id_missing",)),
        (b"{}", ("comment_id_missing", "text_missing")),
        (b'{"comment_id": "g3", "text": "good", "like_count": null, "more": {"deep": 1}}', None),
    ]
    receipt = _ingest(lake, "rows.jsonl", b"\n".join(line for line, _ in lines))
    assert _reasons(lake) == {number: reasons for number, (_, reasons) in enumerate(lines, 1) if reasons}
    assert receipt.rows_accepted == 3
    assert _query(lake, "select comment_id from raw.comments order by 1") == [("g1",), ("g2",), ("g3",)]


def test_times_that_contradict_each_other_are_refused(lake: Lake) -> None:
    content = (
        b"comment_id,text,published_at,observed_at\n"
        b"c1,t,2024-03-02T00:00:00Z,2024-03-01T00:00:00Z\n"
        b"c2,t,2024-03-01T00:00:00Z,2024-03-01T00:00:00Z\n"
    )
    _ingest(lake, "rows.csv", content)
    assert _reasons(lake) == {2: ("observed_at_before_published_at",)}


@pytest.mark.parametrize(
    ("kind", "row", "reasons"),
    [
        ("videos", {"video_id": "v", "view_count": -1}, ("channel_id_missing", "view_count_negative")),
        ("videos", {"video_id": "v\n", "channel_id": "c\x07"}, ("channel_id_malformed",)),
        ("channels", {"subscriber_count": "many"}, ("channel_id_missing", "subscriber_count_malformed")),
        ("labels", {"comment_id": "c", "label": "ham"}, ("task_missing",)),
        ("labels", {"comment_id": "c", "task": "spam", "label": ""}, ("label_missing",)),
        ("labels", {"comment_id": "c", "task": "t", "label": "ham", "labelled_at": "1"}, ("labelled_at_malformed",)),
        ("comments", {"comment_id": "c", "text": "t", "label": "ham"}, ("task_missing",)),
        ("comments", {"comment_id": "c", "text": "t", "label": "h\x07", "task": "t"}, ("label_malformed",)),
    ],
)
def test_every_kind_has_its_reasons(lake: Lake, kind: str, row: dict[str, Any], reasons: tuple[str, ...]) -> None:
    good = {"video_id": "v", "channel_id": "c", "comment_id": "c", "label": None, "text": "t", "task": "spam"}
    if kind == "labels":
        good["label"] = "ham"
    content = "\n".join(json.dumps(told) for told in (good, row))
    assert _ingest(lake, "rows.jsonl", content.encode(), kind=kind).rows_accepted == 1
    ((_, found),) = _reasons(lake).items()
    assert sorted(found) == sorted(reasons)


def _damage(line: bytes, luck: random.Random) -> bytes:
    ways: list[Callable[[bytes], bytes]] = [
        lambda told: told + b",extra",
        lambda told: told.rsplit(b",", 1)[0],
        lambda told: told.replace(b'"', b"", 1),
        lambda told: told[::-1].replace(b'"', b"", 1)[::-1],
        lambda told: told + b"\0",
        lambda told: b"\xff" + told,
    ]
    return luck.choice(ways)(line)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_good_row_is_accepted_and_every_damaged_one_quarantined(lake: Lake, seed: int) -> None:
    luck = random.Random(seed)  # noqa: S311 - no secret
    lines, damaged = [], 0
    for number in range(2_000):
        text = "t" + "".join(luck.choice('ab ,"\n\réß😃') for _ in range(luck.randrange(30)))
        lines.append(f'g{number},"{text.replace(chr(34), chr(34) * 2)}",{number},'.encode())
        if luck.random() < 0.1:
            lines.append(_damage(f'b{number},"damaged",1,'.encode(), luck))
            damaged += 1
    receipt = _ingest(lake, "rows.csv", HEADER + b"\r\n".join(lines))
    assert (receipt.rows_accepted, receipt.rows_quarantined_total) == (2_000, damaged)
    counted = "select count(*), count(distinct comment_id), sum(like_count) from raw.comment_counts"
    assert _query(lake, f"{counted} where comment_id like 'g%'") == [(2_000, 2_000, sum(range(2_000)))]


def test_a_file_of_nothing_but_bad_rows_is_refused_with_all_of_them_kept(lake: Lake) -> None:
    receipt = _ingest(lake, "rows.csv", b"comment_id,text\n" + 500 * b"broken\n", bad_row_share_limit=0.2)
    assert (receipt.is_refused, receipt.rows_quarantined) == (True, {"line_field_count": 500})
    assert len(list_quarantine(lake)) == 500
    assert _query(lake, "select count(*) from raw.comments") == [(0,)]


def test_names_of_files_and_folders_are_data(lake: Lake) -> None:
    home = lake.home.rename(lake.home.with_name("it's [a] home*?"))
    name = "it's; drop table x --[1]*.csv"
    receipt = _ingest(Lake(home), name, b"comment_id,text\nc1,\nc2,good\n")
    assert receipt.rows_accepted == 1
    assert [row.file for row in list_quarantine(Lake(home))] == [name]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "empty.csv is empty; expected at least a header"),
        ("doubled.csv", b"comment_id,text,text\n", "more than one column named 'text'"),
        (
            "missing.csv",
            b"comment_id\nc1\n",
            "missing.csv lacks 'text'; expected 'comment_id', 'text', found 'comment_id'",
        ),
        ("semicolons.csv", b"comment_id;text\n", "lacks 'comment_id', 'text'; .* found 'comment_id;text'"),
        ("utf16.csv", HEADER.decode().encode("utf-16"), "encoded in UTF-16, expected UTF-8"),
        ("corrupt.parquet", b"PAR1garbagePAR1", "corrupt.parquet is not a readable Parquet file"),
        ("rows.txt", b"a", "expected a file ending in"),
    ],
)
def test_a_file_that_is_no_input_writes_nothing_at_all(lake: Lake, name: str, content: bytes, message: str) -> None:
    with pytest.raises(BadData, match=message) as error:
        _ingest(lake, name, content)
    assert error.value.exit_code == 2
    assert not any(lake.staging.iterdir())
    assert _query(lake, "select count(*) from ops.runs") == [(0,)]


def test_a_good_file_beside_a_missing_one_is_not_read(lake: Lake, tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_bytes(b"comment_id,text\nc1,t\n")
    with pytest.raises(BadData, match=r"cannot read .*away\.csv"):
        _ingest(lake, "other.csv", b"", paths=(good, tmp_path / "away.csv"))
    assert _query(lake, "select count(*) from raw.comments") == [(0,)]
