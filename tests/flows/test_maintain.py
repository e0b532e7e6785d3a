"""The flow and the command: what expires by the settings, what is told, and that it is gone in the end."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.maintain import build_report, maintain
from tests.flows.commands import run_command

NOW = datetime.now(UTC)  # DuckLake dates its snapshots by its own clock


@pytest.fixture
def prefect_api(prefect_environment: dict[str, str]) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        yield


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A lake with an old and a new comment, their features, and a row without an id in the quarantine."""
    path = lake.home / "rows.jsonl"
    path.write_text(
        f"""{{"comment_id": "a", "text": "Aardvark day", "observed_at": "{NOW - timedelta(days=20)}"}}
{{"comment_id": "b", "text": "mouse", "observed_at": "{NOW - timedelta(days=1)}"}}
{{"comment_id": "", "text": "Aardvark night", "observed_at": "{NOW - timedelta(days=1)}"}}
"""
    )
    request = IngestRequest("comments", (path,), read_mapping(), "youtube", "batch", NOW, b"key", bad_row_share_limit=1)
    ingest_files(lake, request)
    path.unlink()
    materialize_features(lake, run_id="materialize", now=NOW)
    return lake


def read_texts(lake: Lake) -> list[tuple[str | None, ...]]:
    with read_lake(lake) as connection:
        return connection.execute("select comment_id, text from raw.comments order by 1").fetchall()


def is_on_disk(lake: Lake, text: str) -> bool:
    """Whether any file of the home holds a text; what is compressed is read."""
    for file in (path for path in lake.home.rglob("*") if path.is_file()):
        if file.suffix == ".parquet":
            content = str(duckdb.execute("from read_parquet(?)", [str(file)]).fetchall()).encode()
        else:
            content = file.read_bytes()
        if text.encode() in content:
            return True
    return False


def test_what_expired_is_gone_from_the_home_once_the_horizon_has_passed(
    prefect_api: None, filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(filled.home))
    first = maintain(now=NOW)
    assert (first.expiry.texts, first.expiry.payloads, first.purge.snapshots_expired) == (0, 0, 0)
    monkeypatch.setenv("SCORELAKE_RETENTION_DAYS", "20")
    second = maintain(now=NOW + timedelta(hours=1))
    assert (second.expiry.texts, second.expiry.token_rows, second.expiry.payloads) == (1, 1, 0)
    assert read_texts(filled) == [("a", None), ("b", "mouse")]
    assert is_on_disk(filled, "Aardvark day"), "older snapshots show it"
    left = filled.staging / "score-spam-1" / "00000.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    third = maintain(now=NOW + timedelta(days=21))
    assert (third.leftovers, left.exists()) == (1, False)
    assert third.compaction.files_before >= third.compaction.files_after
    assert (third.expiry.texts, third.expiry.payloads) == (1, 1)
    assert third.purge.files_deleted > 0
    assert read_texts(filled) == [("a", None), ("b", None)]
    for text in ("Aardvark", "mouse"):
        assert not is_on_disk(filled, text)
    with get_client(sync_client=True) as client:
        told = [artifact.data for artifact in client.read_artifacts() if artifact.key == "maintain"]
    assert any("1 texts expired" in str(report) for report in told)


def test_what_a_live_run_has_staged_stays_however_old(
    prefect_api: None, filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(filled.home))
    for name in ("score-spam-live", "score-spam-dead"):
        (filled.staging / name).mkdir(parents=True)
        os.utime(filled.staging / name, (0, 0))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with write_lake(filled, purpose="test") as connection:
            connection.execute(
                "insert into ops.leases (name, run_id, host, process_id, acquired_at, expires_at) "
                "values ('spam/production', 'score-spam-live', ?, ?, ?, ?)",
                [socket.gethostname(), other.pid, NOW, NOW + timedelta(hours=6)],
            )
        assert maintain(now=NOW).leftovers == 1
        other.communicate(b"\n")
    assert [folder.name for folder in filled.staging.iterdir()] == ["score-spam-live"]
    assert maintain(now=NOW).leftovers == 1, "its process has ended"


def test_small_files_become_few_and_it_is_told(
    prefect_api: None, filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(filled.home))
    for number in range(8):
        with write_lake(filled, purpose="test") as connection:
            connection.execute(f"insert into raw.comment_deletions select 'a', 'v', to_timestamp({number}), true, 'r'")
    receipt = maintain(now=NOW)
    assert receipt.compaction.tables == ("raw.comment_deletions",)
    facts = build_report(receipt).facts
    assert facts["files of tables"] == f"{receipt.compaction.files_before:,} → {receipt.compaction.files_after:,}"
    assert receipt.disk_bytes_after > receipt.disk_bytes_before, "older snapshots need the small ones"


def test_reports_go_after_their_time_but_not_the_index(
    prefect_api: None, filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(filled.home))
    reports = filled.home / "reports"
    reports.mkdir()
    for name, days in {"monitor-old.html": 91, "compare-old.png": 91, "monitor-new.html": 89, "index.html": 91}.items():
        (reports / name).touch()
        written_at = (NOW - timedelta(days=days)).timestamp()
        os.utime(reports / name, (written_at, written_at))
    assert maintain(now=NOW).reports == 2
    assert {file.name for file in reports.iterdir()} == {"index.html", "monitor-new.html"}


def test_the_command_says_what_it_did(filled: Lake, prefect_environment: dict[str, str]) -> None:
    environment = {**prefect_environment, "SCORELAKE_HOME": str(filled.home), "SCORELAKE_RETENTION_DAYS": "7"}
    done = run_command("maintain", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["expiry"]["texts"], told["purge"]["rows_moved"]) == (1, 2)
    assert read_texts(filled) == [("a", None), ("b", "mouse")]
