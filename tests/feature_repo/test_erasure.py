"""Rows about erased comments leave every table; what others wrote stays."""

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_repo.contracts import TABLES
from feature_repo.erasure import (
    COMMENT_COLUMN,
    PARENT_COLUMN,
    PROSE_COLUMNS,
    SOURCE_COLUMN,
    Subject,
    count_rows,
    erase_rows,
    find_subject,
    list_erased_columns,
)
from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.tables.columns import TEXT, TEXTS
from feature_repo.tables.scores import build_score_tables
from tests.feature_repo.raw_rows import START, add_batch, insert

GONE, KEPT = "UgxGONExIgDrw8w2e_Z4AaABAg", "UgxKEPTxIgDrw8w2e_Z4AaABAg"
AUTHOR = "hmac:0123456789abcdef0123456789abcdef"
DECLARED = (*TABLES, *build_score_tables("third", ("yes", "no")))
# Text columns of which none names a comment or holds what one says.
OTHERS = {
    *("text_id", "author_id", "text"),  # of rows that go
    *("channel_id", "video_id", "title", "source", "batch_id", "run_id", "replayed_batch_id", "file", "kind"),
    *("model", "model_version", "version", "role", "outcome", "label", "task", "labeller", "feature_service"),
    *("action", "champion_before", "champion_after", "reasons", "reason", "name", "host", "method", "state"),
    *("page_token", "column_name", "report", "path", "feature", "features", "stage_seconds"),
    *("alert_id", "key", "severity", "subject", "notified_severity", "notice_error", "slice", "check_name"),
    "release",  # of scorelake
}


def fill(lake: Lake) -> None:
    """Two comments of an author, one of somebody else's, an answer to the first, and what else names it."""
    mine = {"author_id": AUTHOR, "channel_id": "c1"}
    add_batch(
        lake,
        comments=[
            {"comment_id": GONE, "text": "first version", **mine},
            {"comment_id": GONE, "text": "second version", **mine},
            {"comment_id": "mine, too", "text": "what all say", **mine},
            {"comment_id": KEPT, "text": "what all say"},
            {"comment_id": f"{GONE}.reply", "parent_id": GONE, "text": "an answer"},
        ],
        counts=[{"comment_id": name, "observed_at": START, "like_count": 1} for name in (GONE, KEPT)],
        labels=[{"comment_id": name, "task": "spam", "label": "ham", "labelled_at": START} for name in (GONE, KEPT)],
    )
    payloads = [
        {"id": GONE},
        {"author": AUTHOR},
        {"note": "no id", "text": "second version"},
        {"id": KEPT},
        {"text": "what all say"},
    ]
    with write_lake(lake, purpose="test") as connection:
        for position, payload in enumerate(payloads):
            row = {"batch_id": "b", "kind": "comments", "file": "f", "position": position, "quarantined_at": START}
            insert(connection, "raw.quarantine", row | {"reasons": ["x"], "payload": json.dumps(payload)})
        append_run(connection, Run("r1", "ingest", START, START, details={"error": f"found {GONE}, {KEPT}"}))


@pytest.fixture(scope="module")
def filled_home(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Path(shutil.copytree(seed_home, tmp_path_factory.mktemp("filled") / "home"))
    fill(Lake(home))
    return home


@pytest.fixture
def lake(filled_home: Path, tmp_path: Path) -> Lake:
    return Lake(Path(shutil.copytree(filled_home, tmp_path / "home")))


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def find(lake: Lake, *comment_ids: str, author: str | None = None) -> Subject:
    return find_subject(lake, comment_ids, {author: AUTHOR} if author else {})


@pytest.mark.parametrize("table", DECLARED, ids=lambda table: table.name)
def test_of_every_declared_column_it_is_known_whether_it_names_a_comment(table: Any) -> None:
    """A new text column has to be listed here, or in `erasure`."""
    erased = {COMMENT_COLUMN, SOURCE_COLUMN, PARENT_COLUMN, *PROSE_COLUMNS}
    texts = {name for name, column in table.columns.items() if column.dtype.type in (TEXT, TEXTS)}
    assert texts - erased - OTHERS == set()


def test_every_declared_table_about_comments_is_among_those_of_the_lake(lake: Lake) -> None:
    about = {str(table.name) for table in TABLES if COMMENT_COLUMN in table.columns}
    found = list_erased_columns(lake)
    assert about <= found.keys()
    assert found["raw.comments"] == ("comment_id", "text_id", "parent_id", "author_id", "text")
    assert found["raw.quarantine"] == ("payload",)


def test_all_texts_of_a_comment_go_with_whatever_names_it(lake: Lake) -> None:
    subject = find(lake, GONE)
    assert subject.comment_ids == (GONE,)
    assert subject.traces.texts == {"first version", "second version"}
    expected = {"raw.comment_counts": 1, "raw.comments": 2, "raw.labels": 1, "raw.quarantine": 2}
    assert count_rows(lake, subject) == expected
    assert erase_rows(lake, subject) == expected
    assert query(lake, "select comment_id from raw.comments order by text, 1") == [
        (f"{GONE}.reply",),
        (KEPT,),
        ("mine, too",),
    ]
    assert query(lake, "select comment_id from raw.labels") == [(KEPT,)]
    assert query(lake, "select position from raw.quarantine order by 1") == [(1,), (3,), (4,)]
    assert query(lake, "select details->>'error' from ops.runs where run_id = 'r1'") == [(f"found (erased), {KEPT}",)]
    assert count_rows(lake, subject) == erase_rows(lake, subject) == {}


def test_an_answer_stays_an_answer_to_nobody_known(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": f"{GONE}.other", "parent_id": GONE}])
    erase_rows(lake, find(lake, GONE))
    [(parent,)] = query(lake, "select distinct parent_id from raw.comments where parent_id is not null")
    assert parent.startswith("erased-")
    assert GONE not in parent


def test_all_of_an_author_goes_and_what_others_wrote_stays(lake: Lake) -> None:
    subject = find(lake, author="@someone")
    assert subject.comment_ids == (GONE, "mine, too")
    assert subject.traces.ids == {GONE, "mine, too", "@someone", AUTHOR}
    assert "what all say" not in subject.traces.texts
    erase_rows(lake, subject)
    assert query(lake, "select comment_id from raw.comments order by 1") == [(f"{GONE}.reply",), (KEPT,)]
    assert query(lake, "select position from raw.quarantine order by 1") == [(3,), (4,)]


def test_an_unknown_comment_is_looked_for_all_the_same(lake: Lake) -> None:
    subject = find(lake, "unknown-1")
    assert (subject.comment_ids, subject.traces.ids) == (("unknown-1",), {"unknown-1"})
    assert erase_rows(lake, subject) == {}


def test_nothing_is_erased_if_the_check_under_the_lock_fails(lake: Lake) -> None:
    def refuse(_: duckdb.DuckDBPyConnection) -> None:
        raise Unavailable("somebody is at work")

    with pytest.raises(Unavailable, match="somebody is at work"):
        erase_rows(lake, find(lake, GONE), check=refuse)
    assert len(query(lake, "from raw.comments")) == 5


def test_many_comments_are_erased_at_once(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "insert into raw.comments by name select comments.* replace ('bulk' || n as comment_id, 't' || n as text) "
            f"from raw.comments as comments, range(5000) as numbers (n) where comment_id = '{KEPT}'"
        )
    assert erase_rows(lake, find(lake, *(f"bulk{n}" for n in range(5000)))) == {"raw.comments": 5000}
