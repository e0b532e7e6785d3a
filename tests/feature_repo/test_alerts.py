"""Alerts in the lake: one open row per key, and who is to be told when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_repo.alerts import (
    Alert,
    close_alert,
    mark_notice,
    open_alert,
    read_due_alerts,
    read_open_alerts,
)
from feature_repo.lake import Lake, write_lake

NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def build_alert(key: str = "run/score/spam", **values: Any) -> Alert:
    given = {"severity": "warning", "run_id": "r1", "opened_at": NOW, "seen_at": NOW, **values}
    return Alert(
        alert_id=f"{key}@{given['run_id']}", key=key, subject="spam: score failed", message="m", model="spam", **given
    )


@pytest.mark.parametrize(
    ("alert", "hours", "is_due"),
    [
        (build_alert(), 0, True),
        (build_alert(notified_at=NOW, notified_severity="warning"), 23, False),
        (build_alert(notified_at=NOW, notified_severity="warning"), 24, True),
        (build_alert(notified_at=NOW, notified_severity="info"), 1, True),
        (build_alert(notified_at=NOW, notified_severity="error"), 1, False),
        (build_alert(severity="info", notified_at=NOW, notified_severity="info"), 99, False),
        (build_alert(closed_at=NOW), 1, False),
        (build_alert(closed_at=NOW, notified_at=NOW, notified_severity="warning"), 1, True),
        (build_alert(closed_at=NOW, notified_at=NOW, notified_severity="warning", closing_notified_at=NOW), 99, False),
    ],
)
def test_people_are_told_what_is_new_worse_lasting_or_over(alert: Alert, hours: int, *, is_due: bool) -> None:
    assert alert.is_due(NOW + hours * HOUR) == is_due


def test_an_alert_is_opened_once_seen_again_closed_and_opened_anew(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        open_alert(connection, build_alert())
        open_alert(connection, build_alert(run_id="r2", seen_at=NOW + HOUR, severity="error"))
        open_alert(connection, build_alert(run_id="r3", seen_at=NOW + 2 * HOUR, severity="info"))
        (one,) = read_open_alerts(connection)
        assert (one.alert_id, one.run_id, one.severity) == ("run/score/spam@r1", "r3", "error")
        assert (one.opened_at, one.seen_at, one.occurrences) == (NOW, NOW + 2 * HOUR, 3)
        mark_notice(connection, one, now=NOW, error="nobody there")
        (due,) = read_due_alerts(connection, NOW)
        assert (due.notice_error, due.notified_at) == ("nobody there", None)
        mark_notice(connection, due, now=NOW)
        assert read_due_alerts(connection, NOW) == ()
        close_alert(connection, "run/score/spam", NOW + 3 * HOUR)
        assert read_open_alerts(connection) == ()
        (over,) = read_due_alerts(connection, NOW + 3 * HOUR)
        mark_notice(connection, over, now=NOW + 3 * HOUR)
        open_alert(connection, build_alert(run_id="r4"))
        assert [alert.run_id for alert in read_due_alerts(connection, NOW + 3 * HOUR)] == ["r4"]


def test_a_lake_of_a_release_without_alerts_has_none(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("drop table ops.alerts")
        assert read_open_alerts(connection) == ()
