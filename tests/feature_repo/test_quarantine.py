"""The quarantine: listed, and tried again with the same or another mapping."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.authors import AuthorHasher
from feature_repo.sources.ingest import IngestReceipt, IngestRequest, ingest_files
from feature_repo.sources.mapping import SourceMapping, read_mapping
from feature_repo.sources.quarantine import QuarantinedRow, list_quarantine, replay_batch

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(days=1)
KEY = b"key"
CSV = """id,who,text,time,label
c1,Ann,hello,2024-03-01 10:00:00,1
c2,Ann,world,2024-03-01T10:00:00Z,0
c3,Bob,"",2024-03-01T10:00:00Z,1
c4,Bob,moon,2024-03-01T10:00:00Z,7
c5,Bob,star,broken"
c2,Ann,world,2024-03-02 10:00:00,0
"""


def _mapping(zone: str | None = None, **labels: str) -> SourceMapping:
    columns = {
        "comment_id": "id",
        "author_id": "who",
        "text": "text",
        "published_at": {"column": "time", "zone": zone},
        "label": {"column": "label", "values": {"1": "spam", "0": "ham"} | labels},
        "task": {"constant": "spam"},
    }
    return SourceMapping.model_validate({"name": "ours", "comments": columns})


def _ingest(lake: Lake, content: str = CSV, **request: Any) -> IngestReceipt:
    path = lake.home / "rows.csv"
    path.write_text(content)
    told: dict[str, Any] = {
        "paths": (path,),
        "mapping": _mapping(),
        "source": "test",
        "run_id": "r1",
        "bad_row_share_limit": 1.0,
    }
    return ingest_files(lake, IngestRequest(kind="comments", now=NOW, author_key=KEY, **told | request))


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def test_a_refused_row_is_listed_whole_with_its_reasons_and_its_author_hashed(lake: Lake) -> None:
    receipt = _ingest(lake)
    assert receipt.rows_accepted == 1
    assert receipt.rows_quarantined == {
        "published_at_without_zone": 2,
        "label_unknown": 1,
        "line_broken_quotes": 1,
        "text_missing": 1,
    }
    rows = list_quarantine(lake)
    assert [(row.position, row.reasons) for row in rows] == [
        (2, ("published_at_without_zone",)),
        (4, ("text_missing",)),
        (5, ("label_unknown",)),
        (6, ("line_broken_quotes",)),
        (7, ("published_at_without_zone",)),
    ]
    ann = AuthorHasher(KEY).hash_author("Ann")
    payload = {"id": "c1", "who": ann, "text": "hello", "time": "2024-03-01 10:00:00", "label": "1"}
    assert json.loads(rows[0].payload) == payload
    reasons = ("published_at_without_zone",)
    assert rows[0] == QuarantinedRow("r1", "comments", "rows.csv", 2, reasons, rows[0].payload, NOW, None)


def test_a_row_can_have_several_reasons(lake: Lake) -> None:
    receipt = _ingest(lake, "id,who,text,time,label\n,Ann,,never,9\n")
    assert sorted(receipt.rows_quarantined) == [
        "comment_id_missing",
        "label_unknown",
        "published_at_malformed",
        "text_missing",
    ]
    assert receipt.rows_quarantined_total == 1
    assert len(list_quarantine(lake)) == 1


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (
            "comment_id,text,author_id",
            {"line": None, "note": "withheld: the author in it cannot be told from the rest"},
        ),
        (
            "comment_id,text,user_name",
            {"line": None, "note": "withheld: the author in it cannot be told from the rest"},
        ),
        ("comment_id,text,like_count", {"line": "c1,broken,Ann,3"}),
    ],
)
def test_a_line_that_cannot_be_split_is_kept_only_if_no_author_is_in_it(
    lake: Lake, header: str, payload: dict[str, str | None]
) -> None:
    _ingest(lake, f"{header}\nc1,broken,Ann,3\n", mapping=read_mapping())
    (row,) = list_quarantine(lake)
    assert (json.loads(row.payload), row.reasons) == (payload, ("line_field_count",))


def test_the_list_can_be_cut_and_told_by_batch(lake: Lake) -> None:
    _ingest(lake)
    _ingest(lake, "id,who,text,time,label\nc9,Ann,,,\n", run_id="r2")
    assert len(list_quarantine(lake)) == 6
    assert len(list_quarantine(lake, limit=2)) == 2
    assert [row.position for row in list_quarantine(lake, batch_id="r2")] == [2]
    assert list_quarantine(lake, batch_id="r'3") == []


def test_a_replay_with_a_better_mapping_accepts_what_is_good_now(lake: Lake) -> None:
    _ingest(lake)
    receipt = replay_batch(lake, "r1", run_id="p1", now=LATER, author_key=KEY, mapping=_mapping(zone="UTC"))
    assert (receipt.rows_read, receipt.rows_accepted, receipt.rows_known, receipt.labels_accepted) == (5, 1, 1, 1)
    assert receipt.rows_quarantined == {"label_unknown": 1, "line_broken_quotes": 1, "text_missing": 1}
    assert [(row.position, row.replayed_batch_id) for row in list_quarantine(lake)] == [
        (2, "p1"),
        (4, None),
        (5, None),
        (6, None),
        (7, "p1"),
    ]
    ann = AuthorHasher(KEY).hash_author("Ann")
    accepted = "select comment_id, author_id, batch_id, ingest_seq from raw.comments order by 1"
    assert _query(lake, accepted) == [("c1", ann, "p1", 2), ("c2", ann, "r1", 1)]
    assert _query(lake, "select kind, rows_owed, rows_out, data_version from ops.runs where run_id = 'p1'") == [
        ("replay", 5, 1, 2)
    ]


def test_a_replay_with_the_mapping_of_then_leaves_bad_rows_where_they_are(lake: Lake) -> None:
    _ingest(lake)
    before = list_quarantine(lake)
    receipt = replay_batch(lake, "r1", run_id="p1", now=LATER, author_key=KEY)
    assert (receipt.rows_read, receipt.rows_accepted, receipt.rows_quarantined_total) == (5, 0, 5)
    assert (receipt.is_refused, receipt.data_version) == (False, 1)
    assert list_quarantine(lake) == before


def test_rows_of_several_files_are_replayed_under_their_names(lake: Lake, tmp_path: Path) -> None:
    paths = tuple(tmp_path / name for name in ("first.csv", "second.csv"))
    for path in paths:
        path.write_text(f"text\nhello from {path.stem}\n")
    columns = {"comment_id": {"file_stem": True}, "text": "text", "published_at": {"constant": "2024-03-01"}}
    mapping = SourceMapping.model_validate({"comments": columns})
    _ingest(lake, paths=paths, mapping=mapping, bad_row_share_limit=1)
    zoned = SourceMapping.model_validate(
        {"comments": columns | {"published_at": {"constant": "2024-03-01", "zone": "UTC"}}}
    )
    assert replay_batch(lake, "r1", run_id="p1", now=LATER, author_key=KEY, mapping=zoned).rows_accepted == 2
    found = _query(lake, "select comment_id, text from raw.comments order by 1")
    assert found == [("first", "hello from first"), ("second", "hello from second")]


def test_a_replay_needs_rows_that_wait(lake: Lake) -> None:
    _ingest(lake, "id,who,text,time,label\nc9,Ann,text,,\n")
    with pytest.raises(BadData, match="no row of the batch r1 waits in the quarantine"):
        replay_batch(lake, "r1", run_id="p1", now=LATER, author_key=KEY)
    with pytest.raises(BadData, match="no batch r9; `scorelake status` lists the batches"):
        replay_batch(lake, "r9", run_id="p1", now=LATER, author_key=KEY)


def test_a_row_is_quarantined_once_however_often_its_file_comes(lake: Lake) -> None:
    for run_id in ("r1", "r2"):
        receipt = _ingest(lake, run_id=run_id)
        assert receipt.rows_quarantined_total == 5
    assert {row.batch_id for row in list_quarantine(lake)} == {"r1"}
    changed = CSV.replace("c3,Bob", "c3,Eve")
    _ingest(lake, changed, run_id="r3")
    assert [(row.batch_id, row.position) for row in list_quarantine(lake, batch_id="r3")] == [("r3", 4)]
