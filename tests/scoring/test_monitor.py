"""Drift checks of a real lake: every check says what its window shows, and what the windows amount to."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.lake import Lake, write_lake
from scoring.alarm import AlarmRule
from scoring.monitor import monitor_drift

NOW = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def lake(two_versions: Path, tmp_path: Path) -> Lake:
    """A lake whose newest four days were all scored as spam."""
    lake = Lake(Path(shutil.copytree(two_versions, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "update scores.spam_current set label = 'spam' where comment_id in (select comment_id from raw.comments "
            "where observed_at > (select max(observed_at) - interval 4 days from raw.comments))"
        )
    return lake


def test_one_window_is_no_alarm_however_often_it_is_checked_and_the_next_one_is(lake: Lake) -> None:
    checked = [
        monitor_drift(lake, "spam", run_id=f"m{hour}", now=NOW + timedelta(hours=hour), days=4) for hour in range(2)
    ]
    assert [(one.is_violated, one.alarm.is_on, one.alarm.windows) for one in checked] == [(True, False, 1)] * 2
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update raw.comments set observed_at = observed_at + interval 1 hour")
    later = monitor_drift(lake, "spam", run_id="m2", now=NOW + timedelta(days=1), days=4)
    assert (later.alarm.is_on, later.alarm.began_at) == (True, NOW)
    strict = monitor_drift(lake, "spam", run_id="m3", now=NOW + timedelta(days=2), days=4, rule=AlarmRule(3, 3))
    assert not strict.alarm.is_on
