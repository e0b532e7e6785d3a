"""The flow and the command: where the key comes from and never goes, what is told, and how a spent day ends."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter
from prefect.testing.utilities import prefect_test_harness

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.batches import IngestReceipt
from feature_repo.sources.youtube_ingest import QuotaStop, YouTubeReceipt
from flows.settings import read_settings
from flows.youtube import build_report, ingest_youtube
from tests.feature_repo.youtube_runner import make_threads
from tests.feature_repo.youtube_server import KEY, Video, YouTube, serve

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def prefect_api() -> Iterator[None]:
    with prefect_test_harness():
        yield


@pytest.fixture
def youtube() -> YouTube:
    youtube = YouTube(Video("v1", threads=make_threads(4)))
    youtube.page_size = 2
    return youtube


@pytest.fixture
def environment(lake: Lake, youtube: YouTube, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
    with serve(youtube) as address:
        monkeypatch.setenv("SCORELAKE_YOUTUBE_BASE_URL", address)
        yield monkeypatch


def _query(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def _read_prefect() -> str:
    """Everything that Prefect has stored of runs: parameters, results, states, logs and artifacts."""
    with get_client(sync_client=True) as client:
        stored = [*client.read_flow_runs(), *client.read_artifacts(), *client.read_logs(LogFilter())]
    return "".join(one.model_dump_json() for one in stored)


def test_the_key_of_the_environment_is_used_and_told_to_nobody(
    prefect_api: None, lake: Lake, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    environment.setenv("SCORELAKE_YOUTUBE_API_KEY", f"{KEY}\n")
    receipt = ingest_youtube(videos=["v1"], now=NOW)
    assert (receipt.videos_by_state, receipt.units_spent) == ({"done": 1}, 4)
    assert _query(lake, "select count(*) from raw.comments") == [(4,)]
    stored = _read_prefect()
    assert "units used today" in stored, "the report is an artifact"
    assert "URL being requested" in caplog.text, "Google's client logs its addresses"
    assert KEY not in stored + caplog.text + str(receipt) + repr(read_settings())
    assert not any(KEY.encode() in file.read_bytes() for file in lake.home.rglob("*") if file.is_file())


def test_the_key_may_be_in_a_secret_block(prefect_api: None, lake: Lake, environment: pytest.MonkeyPatch) -> None:
    Secret(value=KEY).save("youtube-key")
    environment.setenv("SCORELAKE_YOUTUBE_API_KEY_BLOCK", "youtube-key")
    ingest_youtube(videos=["v1"], now=NOW)
    assert _query(lake, "select count(*) from raw.comments") == [(4,)]
    environment.setenv("SCORELAKE_YOUTUBE_API_KEY_BLOCK", "no-such-block")
    with pytest.raises(BadData, match="no Prefect Secret block 'no-such-block', which SCORELAKE_YOUTUBE_API_KEY_BLOCK"):
        ingest_youtube(videos=["v1"], now=NOW)


def test_without_a_key_it_says_where_to_put_one(prefect_api: None, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadData, match="expected a key of the YouTube Data API v3, found none; set SCORELAKE_YOUTUBE_API_KEY"
    ):
        ingest_youtube(videos=["v1"], now=NOW)


def test_a_spent_day_is_a_refusal_that_is_recorded_and_the_next_goes_on(
    prefect_api: None, lake: Lake, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SCORELAKE_YOUTUBE_API_KEY", KEY)
    environment.setenv("SCORELAKE_YOUTUBE_DAILY_UNITS", "3")
    environment.setenv("SCORELAKE_RETRIES", "2")
    with pytest.raises(QuotaStop, match=r"a run after 2026-11-21 08:00 UTC .* goes on where this one stopped"):
        ingest_youtube(videos=["v1"], now=NOW)
    assert _query(lake, "select count(*) from raw.comments") == [(2,)]
    assert _query(lake, "select kind, outcome from ops.runs where outcome <> 'done'") == [("ingest-youtube", "refused")]
    assert "youtube stopped at the day's quota" in _read_prefect()
    ingest_youtube(videos=["v1"], now=datetime(2026, 11, 21, 8, tzinfo=UTC))
    assert _query(lake, "select count(*) from raw.comments") == [(4,)]


def _run_command(home: Path, address: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "SCORELAKE_HOME": str(home),
        "SCORELAKE_YOUTUBE_API_KEY": KEY,
        "SCORELAKE_YOUTUBE_BASE_URL": address,
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "googleapiclient,feature_repo,stamina",
        **settings,
    }
    command = [sys.executable, "-m", "flows.cli", "ingest", "youtube", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_spent_day_ends_the_command_with_exit_code_3_and_its_receipt(tmp_path: Path, youtube: YouTube) -> None:
    home = tmp_path / "home"
    with serve(youtube) as address:
        done = _run_command(home, address, "--video", "v1", "--json", SCORELAKE_YOUTUBE_DAILY_UNITS="3")
    assert done.returncode == 3, done.stderr
    receipt = json.loads(done.stdout)
    assert (receipt["is_quota_spent"], receipt["units_spent"], receipt["videos_by_state"]) == (True, 3, {"open": 1})
    assert "Refused: the budget of 3 units a day is used up" in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    files = [file for file in home.rglob("*") if file.is_file()]
    assert any(file.name == "prefect.db" for file in files), "what Prefect stores is below the home"
    assert not any(KEY.encode() in file.read_bytes() for file in files)


def test_the_command_wants_an_id(tmp_path: Path) -> None:
    done = _run_command(tmp_path / "home", "http://127.0.0.1:1/")
    assert (done.returncode, "name what to ingest: --channel ID, --video ID" in done.stderr) == (2, True), done.stderr


def test_the_report_tells_what_was_read_and_what_is_left() -> None:
    batch = IngestReceipt("r-001-comments", "comments", "youtube", 9, 5, 3, {"text_missing": 1}, 1, 0, 0, False, 1)
    receipt = YouTubeReceipt(
        run_id="r",
        batches=(batch, batch),
        videos=7,
        videos_by_state={"done": 2, "disabled": 1},
        missing=("v9",),
        unread={f"v{number}": "commentsDisabled" for number in range(6)},
        comments_deleted=2,
        comments_returned=0,
        comments_without_text=0,
        calls={"videos": 1, "commentThreads": 3},
        units_spent=1_204,
        units_per_day=10_000,
        resets_at=datetime(2026, 11, 21, 8, tzinfo=UTC),
        is_quota_spent=False,
    )
    report = build_report(receipt)
    assert report.title == "youtube ingested: run r"
    assert report.facts == {
        "videos found": 7,
        "videos due, disabled": 1,
        "videos due, done": 2,
        "comments not shown any more": 2,
        "calls": 4,
        "units used today": "1,204 of 10,000",
        "units come back at": "2026-11-21 08:00 UTC",
    }
    assert report.grids[0].rows == (("comments", 18, 10, 6, 2),)
    assert report.notes == ("not known to YouTube: v9", "commentsDisabled: v0, v1, v2, v3, v4, …")
