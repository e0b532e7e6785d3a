"""Files of every kind lose what is erased, and nothing else."""

import csv
import gzip
import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake
from feature_repo.sweep import sweep_files
from feature_repo.traces import Traces
from tests.path.decoded_search import find_needles

GONE, KEPT = "UgxGONExIgDrw8w2e_Z4AaABAg", "UgxKEPTxIgDrw8w2e_Z4AaABAg"
TEXT = 'never, "ever"\nagain'
TRACES = Traces(frozenset({GONE}), frozenset({TEXT}))


def write(lake: Lake, name: str, content: str) -> Path:
    path = lake.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, newline="")
    return path


@pytest.mark.parametrize(
    ("name", "content", "rest"),
    [
        ("a.jsonl", f'{{"id": "{GONE}"}}\r\n{{"id":  "{KEPT}", "t": "\u2028"}}', f'{{"id":  "{KEPT}", "t": "\u2028"}}'),
        ("b.csv", f'id;text\n"{GONE}",x\n{KEPT}, "as it is"\n', f'id;text\n{KEPT}, "as it is"\n'),
        ("c.csv", 'id,text\n1,"never, ""ever""\nagain"\n2,other\n', "id,text\n2,other\n"),
        ("d.csv", f"id;text\n{GONE};x\n{KEPT};y\n", f"id;text\n{KEPT};y\n"),
        ("e.csv", f'id\n{GONE}\n"{"x" * 200_000}\n{GONE}\n{KEPT}\n', f'id\n"{"x" * 200_000}\n{KEPT}\n'),
        ("reports/f.html", f"<td>{GONE}</td><td>{KEPT}</td>", f"<td>(erased)</td><td>{KEPT}</td>"),
        ("g.json", json.dumps([GONE, KEPT, TEXT]), json.dumps(["(erased)", KEPT, "(erased)"])),
    ],
)
def test_texts_lose_records_or_mentions(lake: Lake, name: str, content: str, rest: str) -> None:
    path = write(lake, name, content)
    path.chmod(0o640)
    looked = sweep_files(lake, TRACES, is_dry=True)
    assert (looked.changed, path.read_bytes().decode()) == ([name], content)
    assert sweep_files(lake, TRACES) == looked
    assert path.read_bytes().decode() == rest
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    again = sweep_files(lake, TRACES)
    assert (again.changed, again.left) == ([], [])


@pytest.mark.parametrize("name", ["0.parquet", "0.draft"])
def test_parquet_loses_rows_and_keeps_types_order_and_metadata(lake: Lake, name: str) -> None:
    fields = pa.map_(pa.string(), pa.string())
    rows = {
        "id": pa.array([KEPT, GONE, None, "x", "y"]).dictionary_encode(),
        "fields": pa.array([[], [], [], [("text", TEXT)], [("text", "other")]], fields),
        "tokens": pa.array([[1], [2], None, [4], []], pa.list_(pa.uint32())),
    }
    table = pa.table(rows).replace_schema_metadata({"rows_expired": "3"})
    path = lake.staging / "score-spam-1" / name
    path.parent.mkdir()
    pq.write_table(table, path, row_group_size=2)
    receipt = sweep_files(lake, TRACES)
    assert (receipt.changed, receipt.rows) == ([f"staging/score-spam-1/{name}"], 2)
    assert pq.read_table(path).equals(table.take([0, 2, 4]))
    assert pq.read_schema(path).metadata[b"rows_expired"] == b"3"
    assert find_needles(lake.home, GONE, TEXT) == []


def test_a_database_loses_mentions_also_from_its_pages_and_its_log(lake: Lake) -> None:
    path = write(lake, "prefect/prefect.db", "")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("pragma journal_mode = wal")
        other.execute("create table log (message text, number integer, body blob)")
        other.execute("insert into log values (?, 7, ?)", [f"reproduced {GONE}, {KEPT}", b"\xff"])
        other.execute("insert into log values (?, 8, null)", [GONE])
        other.execute("delete from log where number = 8")
        receipt = sweep_files(lake, TRACES)
        assert (receipt.changed, receipt.rows) == (["prefect/prefect.db"], 1)
        assert other.execute("select * from log").fetchall() == [(f"reproduced (erased), {KEPT}", 7, b"\xff")]
        assert find_needles(lake.home, GONE) == []
        assert sweep_files(lake, TRACES).changed == []


def test_a_database_that_is_in_use_is_said(lake: Lake) -> None:
    path = write(lake, "prefect/prefect.db", "")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("create table log (message text)")
        other.execute("insert into log values (?)", [GONE])
        other.execute("begin exclusive")
        with pytest.raises(Unavailable, match=r"could not be rewritten .*locked.*; erase again when nothing uses it"):
            sweep_files(replace(lake, lock_wait_seconds=0.1), TRACES)


def test_what_cannot_be_changed_is_listed(lake: Lake) -> None:
    (lake.home / "half.parquet").write_bytes(b"PAR1")
    (lake.home / "notes.bin").write_bytes(b"\xff" + GONE.encode())
    (lake.home / "other.bin").write_bytes(b"\xff" + KEPT.encode())
    duckdb.connect(lake.home / "own.duckdb").close()
    (lake.home / "published").mkdir()
    (lake.home / "published" / "scorelake-1.duckdb").write_bytes(GONE.encode())
    assert sweep_files(lake, TRACES).left == ["half.parquet", "notes.bin", "own.duckdb"]


def test_the_search_decodes_what_compression_hides(tmp_path: Path) -> None:
    """The oracle itself can find."""
    pq.write_table(pa.table({"id": [GONE] * 100}), tmp_path / "a.parquet", compression="zstd")
    (tmp_path / "b.gz").write_bytes(gzip.compress(GONE.encode()))
    (tmp_path / "c.bin").write_bytes(b"x" + GONE.encode("utf-16-le"))
    with (tmp_path / "d.csv").open("w") as file:
        csv.writer(file).writerow([KEPT, f"{GONE}.8fGh"])
    assert find_needles(tmp_path, GONE) == ["a.parquet", "b.gz", "c.bin"]
    assert find_needles(tmp_path, KEPT) == ["d.csv"]
