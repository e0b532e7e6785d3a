"""The flow that watches, as a schedule runs it: an odd window, an alarm that is told and answered, and its end."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from feature_repo.lake import Lake, read_lake, write_lake
from flows.monitor import build_report, monitor
from tests.flows.webhook import Webhook, serve_webhook

NOW = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def lake(two_versions: Path, tmp_path: Path) -> Lake:
    """A lake whose newest four days were all scored as spam."""
    lake = Lake(Path(shutil.copytree(two_versions, tmp_path / "home")))
    label_newest(lake, "'spam'")
    return lake


@pytest.fixture
def webhook(lake: Lake, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with serve_webhook() as webhook:
        monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
        monkeypatch.setenv("SCORELAKE_ALERT_URLS", webhook.url)
        monkeypatch.setenv("SCORELAKE_FRESHNESS_HOURS", "10000")
        with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
            yield webhook


def label_newest(lake: Lake, label: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            f"update scores.spam_current as s set label = {label} where comment_id in (select comment_id "
            "from raw.comments where observed_at > (select max(observed_at) - interval 4 days from raw.comments))"
        )


def come_later(lake: Lake) -> None:
    """Make another window of the same comments: all were seen an hour later."""
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update raw.comments set observed_at = observed_at + interval 1 hour")


def mix_up(lake: Lake) -> None:
    """Make a window that is like those before: every label as it was, the comments of all days at any time."""
    with write_lake(lake, purpose="test") as connection:
        connection.execute("update scores.spam_current set label = if(p_spam > 0.5, 'spam', 'ham')")
        connection.execute(
            "update raw.comments set observed_at = timestamptz '2026-09-01 00:00:00+00' "
            "+ to_minutes(cast(md5_number_lower(comment_id) % 28800 as bigint))"
        )


def query(lake: Lake, sql: str) -> list[Any]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def test_a_second_odd_window_is_told_and_answered_and_a_quiet_one_ends_it(lake: Lake, webhook: Webhook) -> None:
    first = monitor("spam", days=4, now=NOW)
    assert (first.is_violated, first.alarm.is_on, first.alarm.windows) == (True, False, 1)
    assert build_report(first).title == "spam: DRIFT in this window, no alarm yet: the first window"
    assert webhook.titles == []
    come_later(lake)
    later = monitor("spam", days=4, now=NOW + DAY)
    assert (later.alarm.is_on, later.alarm.began_at) == (True, NOW)
    assert build_report(later).title == "spam: DRIFT ALARM, 2 of the last 2 windows drifted"
    acts = query(lake, "select details ->> 'act', details ->> 'cause' from ops.runs where kind = 'heal'")
    assert acts == [("train", later.run_id)]
    mix_up(lake)
    assert not monitor("spam", days=4, now=NOW + 2 * DAY).is_violated
    assert webhook.titles == [
        "[warning] unusual number of comments",
        "[error] spam: drift alarm",
        "[info] spam: healing itself: train",
        "[well again] unusual number of comments",  # ten days without any have become history
        "[well again] spam: drift alarm",
        "[well again] spam: healing itself: train",
    ]
    assert f"Run {later.run_id}" in webhook.received[1]["message"]
    assert query(lake, "select count(*) from ops.alerts where closed_at is null") == [(0,)]
