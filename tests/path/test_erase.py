"""An erased comment is nowhere below the home: every file is decoded, and searched byte by byte."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_repo.erasure import erase_rows, find_subject
from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.sources.authors import AuthorHasher
from feature_repo.sweep import sweep_files
from flows.erase import EraseReceipt, build_report, erase
from scoring.published import locate_published, publish_file
from scoring.summaries import rebuild_summaries
from tests.path.decoded_search import find_needles
from training.erasure import forget_rows
from training.registry import resolve
from training.reproduce import reproduce_version
from training.run_log import ROWS_FILE
from training.spec import read_spec
from training.version import read_kept_rows

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
# A labelled comment without answers, whose text nobody else wrote: what the versions of both models learned from.
SUBJECT = """
select comment_id, any_value(text), any_value(author_id)
from raw.comments as comments
where comment_id in (select comment_id from raw.labels where task = 'sentiment')
    and comment_id in (select comment_id from raw.labels where task = 'spam')
    and comment_id not in (select parent_id from raw.comments where parent_id is not null)
    and length(text) > 30
group by comment_id
having count(*) = 1 and any_value(text_id) not in (
    select text_id from raw.comments as others group by text_id having count(distinct comment_id) > 1
)
order by comment_id
limit 1
"""
SCORES = """
insert into {table} by name
select comment_id, text_id, channel_id, video_id, published_at, 'neutral' as label, 0.5 as confidence,
    false as is_abstained, 0.2 as p_negative, 0.5 as p_neutral, 0.3 as p_positive, '1' as model_version,
    'sentiment_v1' as feature_service, 4 as data_version, 'score-1' as run_id, observed_at as scored_at
from raw.comments
"""
LOG = """
insert into monitoring.feature_log by name
select 'score-1' as run_id, 'sentiment' as model, '1' as model_version, 'sentiment_v1' as feature_service,
    4 as data_version, comment_id, text_id, observed_at as event_timestamp, '{}' as features
from raw.comments
"""

pytestmark = pytest.mark.path


def use(lake: Lake) -> dict[str, str]:
    """Fill what a lake in use has: scores, a log of features, a dataset, an export, a report, staging, a publication.

    Returns id, text and author of a comment that all of them hold.
    """
    with write_lake(lake, purpose="test") as connection:
        [found] = connection.execute(SUBJECT).fetchall()
        subject = dict(zip(("comment_id", "text", "author_id"), found, strict=True))
        for table in ("scores.sentiment", "scores.sentiment_current"):
            connection.execute(SCORES.format(table=table))
        connection.execute(LOG)
        rebuild_summaries(connection, "sentiment")
        run = Run("failed-1", "score", NOW, NOW, outcome="failed", details={"error": f"at {subject['comment_id']}"})
        run_transaction(connection, lambda inside: append_run(inside, run))
        for name in ("datasets/set.parquet", "staging/score-sentiment-1/00000.parquet", "exports/all.csv"):
            path = lake.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            connection.execute(f"copy (from raw.comments) to '{path}'")
    (lake.home / "reports").mkdir()
    (lake.home / "reports" / "a.html").write_text(f"<td>{subject['comment_id']}</td>")
    publish_file(lake, run_id="score-1")
    return subject


@pytest.fixture
def lake(trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    home = Path(shutil.copytree(trained_home, tmp_path / "home"))
    monkeypatch.setenv("SCORELAKE_HOME", str(home))
    monkeypatch.setenv("SCORELAKE_AUTHOR_KEY", "a key for tests")
    return Lake(home)


def query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_times(lake: Lake) -> dict[Path, int]:
    """When each file was last written to, those aside that come and go with reading a database."""
    files = (path for path in lake.home.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {path: path.stat().st_mtime_ns for path in files}


def count(lake: Lake) -> dict[str, int]:
    tables = ("raw.comments", "raw.labels", "features.comment_features", "scores.sentiment", "monitoring.feature_log")
    return {table: query(lake, f"select count(*) from {table}")[0][0] for table in tables}


def test_an_erased_comment_is_nowhere(lake: Lake) -> None:
    subject = use(lake)
    needles = (subject["comment_id"], subject["text"])
    before, held = count(lake), find_needles(lake.home, *needles)
    kinds = {Path(name).suffix for name in held}
    assert kinds >= {".parquet", ".sqlite", ".csv", ".html", ".duckdb", ".jsonl"}, "the search finds it everywhere"

    written = read_times(lake)
    assert erase(["UgxUNKNOWNgDrw8w2e_Z4AaABAg"], [], is_dry=True).rows == {}
    looked = erase([subject["comment_id"]], [], is_dry=True)
    assert read_times(lake) == written, "looking changes nothing"
    done = erase([subject["comment_id"]], [])
    assert find_needles(lake.home, *needles) == []

    assert (looked.rows, looked.models) == (done.rows, done.models)
    kept_rows = {name for name in looked.files.changed if name.endswith("spine.parquet")}
    assert len(kept_rows) == 2
    assert set(looked.files.changed) - kept_rows == set(done.files.changed)
    assert {table: before[table] - rows for table, rows in count(lake).items()} == {
        table: done.rows[table] for table in before
    }
    assert [(one.model, one.version, one.rows) for one in done.models] == [("sentiment", "1", 1), ("spam", "1", 1)]
    assert (done.published, done.files.left) == (2, [])
    with duckdb.connect(locate_published(lake), read_only=True) as published:
        scored = "select count(*), (select max(comment_count) from scores.channel_daily) from scores.sentiment_current"
        assert published.execute(scored).fetchall() == query(lake, scored)
    [(counted,)] = query(lake, "select sum(comment_count) from scores.video_summary where label = 'neutral'")
    assert counted == count(lake)["scores.sentiment"]
    check_receipt(lake, done, needles)
    check_versions(lake)


def check_receipt(lake: Lake, done: EraseReceipt, needles: tuple[str, ...]) -> None:
    [(rows, details)] = query(lake, "select rows_out, details from ops.runs where kind = 'erase'")
    assert rows == sum(done.rows.values())
    assert json.loads(details)["models"] == [
        {"model": "sentiment", "version": "1", "rows": 1},
        {"model": "spam", "version": "1", "rows": 1},
    ]
    assert not any(needle in details for needle in needles)
    assert "1 comments erased" in build_report(done).title


def check_versions(lake: Lake) -> None:
    """Versions are found again under the digest of what they keep now, and say how many of their rows are gone."""
    version = resolve(lake, "sentiment")
    kept = read_kept_rows(version)
    assert kept is not None
    assert len(kept) == version.descriptor["rows"] - 1
    receipt = reproduce_version(lake, read_spec("sentiment"), "1", run_id="reproduce", now=NOW, is_quick=True)
    assert (receipt.rows.erased, receipt.rows.kept - receipt.rows.found, receipt.rows.changes) == (1, 1, {})
    assert "rows: erased" in receipt.differing


def find_author(lake: Lake) -> tuple[str, str]:
    """Somebody on whose comments the sentiment model was trained, as the input files have them, and hashed."""
    labelled = "select author_id from raw.comments join raw.labels using (comment_id) where task = 'sentiment'"
    wanted = {found for (found,) in query(lake, labelled)}
    texts = [path.read_text() for path in (lake.home / "sample").glob("comments-*.jsonl")]
    handles = {handle for text in texts for handle in re.findall(r'"author_id": "(@\w+)"', text)}
    hasher = AuthorHasher(b"a key for tests")
    return min((handle, hasher.hash_author(handle)) for handle in handles if hasher.hash_author(handle) in wanted)


def test_an_author_is_erased_by_the_command_even_after_a_kill_at_any_instant(lake: Lake) -> None:
    """Until the rows are gone the lake names the author's comments, and from then on nothing has to be named."""
    author, hashed = find_author(lake)
    found = find_subject(lake, (), {author: hashed})
    kept = resolve(lake, "sentiment").path.with_name(ROWS_FILE)
    rows = kept.read_bytes()
    assert forget_rows(lake, found.comment_ids)
    kept.write_bytes(rows)  # killed when the digest was registered, and the file not yet in place
    with pytest.raises(BadData, match="is not the one that was registered"):
        resolve(lake, "sentiment")
    assert [one.model for one in forget_rows(lake, found.comment_ids)] == ["sentiment"]
    assert resolve(lake, "sentiment").version == "1"
    sweep_files(lake, found.traces)
    assert find_subject(lake, (), {author: hashed}) == found, "killed here, all is found again"
    erase_rows(lake, found)
    assert find_needles(lake.home, hashed) != [], "and here, what is left is in deleted rows and old snapshots"

    command = [sys.executable, "-m", "flows.cli", "erase", "--author", author, "--json"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert asked.returncode == 2
    assert "erasing cannot be undone, and nobody can be asked here; add --yes" in asked.stderr
    done = subprocess.run([*command, "--yes"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["authors"], json.loads(done.stdout)["rows"]) == (1, {})
    assert find_needles(lake.home, author, hashed, *found.comment_ids) == []
    assert author not in done.stdout + done.stderr
