"""The lake at a glance: what an operator looks for first, on one screen."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from feature_repo.lake import Lake, read_lake
from flows.report import print_report, show_age
from flows.status import Status, build_report, read_status

NOW = datetime(2026, 9, 30, 0, tzinfo=UTC)


@pytest.fixture
def status(trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    monkeypatch.setenv("SCORELAKE_HOME", str(trained_home))
    return read_status(NOW)


def test_size_freshness_champions_and_what_is_owed(status: Status, trained_home: Path) -> None:
    with read_lake(Lake(trained_home)) as connection:
        comments, newest = connection.execute("select count(*), max(observed_at) from raw.comments").fetchall()[0]
    files = [path.stat().st_size for path in (trained_home / "lake").rglob("*") if path.is_file()]
    assert status.rows["raw.comments"] == comments
    assert status.disk_bytes == sum(files)
    assert status.newest_comment_at == newest
    assert [(one.model, one.champion, one.rows_owed, one.scored_at) for one in status.models] == [
        ("sentiment", "1", comments, None),
        ("spam", "1", comments, None),
    ]
    assert all(NOW - timedelta(days=2) <= one.champion_since <= NOW for one in status.models if one.champion_since)


def test_it_is_one_screen(status: Status) -> None:
    output = StringIO()
    print_report(build_report(status), Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert len(lines) <= 40
    facts = build_report(status).facts
    assert facts["newest comment"] == "2026-09-27 23:59 UTC, 2 days ago"
    assert str(facts["size"]).endswith("MiB on disk")
    assert facts["features"] == "up to date"
    assert build_report(status).grids[0].rows[0][:4] == ("sentiment", "1", "48 hours ago", status.models[0].rows_owed)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0 minutes"), (119, "119 minutes"), (120, "2 hours"), (2879, "48 hours"), (2880, "2 days")],
)
def test_an_age_is_shown_in_its_own_unit(minutes: int, words: str) -> None:
    assert show_age(timedelta(minutes=minutes)) == words
