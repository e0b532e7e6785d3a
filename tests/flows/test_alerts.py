"""Alerts end to end: a run fails, a real webhook is told, once, and of the end, and no address is anywhere."""

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings

from feature_repo.errors import BadData, Refused, ScorelakeError, Unavailable
from feature_repo.lake import Lake, read_lake
from flows.alerts import raise_failure, resolve_failure
from flows.entry import Entry, begin
from flows.failures import describe_failure
from flows.ingest import ingest
from flows.monitor import watch_counts
from flows.stage import tell_failure
from flows.status import build_report, read_status
from scoring.monitor import check_freshness
from tests.flows.webhook import TOKEN, Webhook, serve_webhook

NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serve_webhook() as webhook:
        yield webhook


@pytest.fixture
def environment(lake: Lake, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
    monkeypatch.setenv("SCORELAKE_ALERT_URLS", webhook.url)
    return monkeypatch


def build_entry(hours: float = 0, kind: str = "score") -> Entry:
    return begin(kind, "spam", NOW + hours * HOUR)


def fail(entry: Entry, error: Exception | None = None) -> None:
    def step() -> NoReturn:
        raise error or BadData("column text is missing")

    with pytest.raises(type(error) if error else BadData), tell_failure(entry):
        step()


def read_alerts(lake: Lake) -> list[dict[str, Any]]:
    with read_lake(lake) as connection:
        found = connection.execute("select * from ops.alerts order by opened_at")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_three_failing_runs_are_told_once_and_their_end_once(
    lake: Lake, environment: pytest.MonkeyPatch, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for hour in range(3):
        fail(build_entry(hour))
    resolve_failure(build_entry(3, kind="train"))  # another kind of run ends well: that is no news
    resolve_failure(build_entry(4))
    resolve_failure(build_entry(5))
    assert webhook.titles == ["[error] spam: score failed", "[well again] spam: score failed"]
    told, ended = (one["message"] for one in webhook.received)
    assert told.startswith(
        "column text is missing\nCorrect the input; running it again changes nothing.\nRun score-spam-"
    )
    assert ended.startswith("It lasted 4:00:00, seen 3 times.")
    (alert,) = read_alerts(lake)
    assert (alert["occurrences"], alert["closed_at"]) == (3, NOW + 4 * HOUR)
    assert TOKEN not in str(alert) + caplog.text


def test_a_reminder_comes_after_a_day_and_a_worse_state_at_once(
    environment: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    fail(build_entry(0), Refused("too many bad rows"))
    fail(build_entry(1), Unavailable("the disk is full"))
    fail(build_entry(24), Refused("too many bad rows"))
    fail(build_entry(26), Refused("too many bad rows"))
    severities = [title.split()[0] for title in webhook.titles]
    assert severities == ["[warning]", "[error]", "[error]"]
    assert "Open since 2026-10-01 00:00 UTC, seen 4 times." in webhook.received[-1]["message"]


def test_a_broken_webhook_fails_no_run_and_is_tried_again(
    lake: Lake, environment: pytest.MonkeyPatch, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.status = 500
    fail(build_entry(0))
    (alert,) = read_alerts(lake)
    assert (alert["notified_at"], alert["notice_error"]) == (None, "SCORELAKE_ALERT_URLS: ConnectionError")
    environment.setenv("SCORELAKE_ALERT_URLS", f"json://127.0.0.1:1/{TOKEN}")  # nobody listens there
    resolve_failure(build_entry(1, kind="train"))
    webhook.status = 200
    environment.setenv("SCORELAKE_ALERT_URLS", webhook.url)
    resolve_failure(build_entry(2, kind="train"))
    assert webhook.titles == ["[error] spam: score failed"]
    (alert,) = read_alerts(lake)
    assert (alert["notified_at"], alert["notice_error"]) == (NOW + 2 * HOUR, None)
    assert TOKEN not in str(alert) + caplog.text


def test_an_unexpected_error_is_told_without_what_it_quotes(environment: pytest.MonkeyPatch, webhook: Webhook) -> None:
    fail(build_entry(), ValueError("could not convert 'the text of a comment'"))
    (told,) = webhook.received
    assert "an error that was not expected, ValueError" in told["message"]
    assert "the text of a comment" not in json.dumps(told)


def test_without_a_channel_an_alert_stands_in_the_lake_and_in_the_status(
    lake: Lake, environment: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    environment.delenv("SCORELAKE_ALERT_URLS")
    fail(build_entry())
    assert webhook.received == []
    status = read_status()
    assert [alert[:4] for alert in status.open_alerts] == [("error", "spam: score failed", NOW, 1)]
    assert build_report(status).grids[0].title == "open alerts"


def test_what_a_lake_cannot_keep_is_told_all_the_same_once_a_day(
    lake: Lake, environment: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    environment.setattr("flows.alerts._PATIENCE_SECONDS", 0.1)
    with lake.catalog.hold("writer", "somebody else", 1):
        for hours in (0, 23, 25):
            raise_failure(build_entry(hours), describe_failure(BadData("column text is missing")))
    assert webhook.titles == ["[error] spam: score failed"] * 2
    assert read_alerts(lake) == []


def test_no_lake_is_made_for_an_alert(tmp_path: Path, environment: pytest.MonkeyPatch, webhook: Webhook) -> None:
    environment.setenv("SCORELAKE_HOME", str(tmp_path / "nothing"))
    fail(build_entry())
    resolve_failure(build_entry())
    assert not (tmp_path / "nothing").exists()
    assert webhook.received == []


def watch_freshness(entry: Entry) -> None:
    with read_lake(entry.lake) as connection:
        checks = check_freshness(connection, entry.now, entry.settings.freshness_hours)
    watch_counts(entry, checks)


def test_comments_that_stop_coming_are_told_and_their_return_too(
    trained_home: Path, tmp_path: Path, environment: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    home = Path(shutil.copytree(trained_home, tmp_path / "trained"))
    environment.setenv("SCORELAKE_HOME", str(home))
    with read_lake(Lake(home)) as connection:
        row = connection.execute("select max(observed_at) from raw.comments").fetchone()
    assert row is not None
    for hours in (47, 49, 50):
        watch_freshness(begin("monitor", "spam", row[0] + hours * HOUR))
    environment.setenv("SCORELAKE_FRESHNESS_HOURS", "100")
    watch_freshness(begin("monitor", "spam", row[0] + 51 * HOUR))
    assert webhook.titles == ["[warning] no new comments", "[well again] no new comments"]


def test_prefect_blocks_are_told(
    environment: pytest.MonkeyPatch, webhook: Webhook, prefect_environment: dict[str, str]
) -> None:
    environment.delenv("SCORELAKE_ALERT_URLS")
    fail(build_entry())
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        Secret(value=webhook.url).save("alert-urls", overwrite=True)
        environment.setenv("SCORELAKE_ALERT_BLOCK", "secret/alert-urls")
        resolve_failure(build_entry(1, kind="train"))
        body = {"title": "{{subject}}", "message": "{{body}}"}
        address = f"http://127.0.0.1:{webhook.port}/{TOKEN}"
        CustomWebhookNotificationBlock(name="ops", url=address, json_data=body).save("ops", overwrite=True)
        environment.setenv("SCORELAKE_ALERT_BLOCK", "custom-webhook/ops")
        resolve_failure(build_entry(2))
        environment.setenv("SCORELAKE_ALERT_BLOCK", "slack-webhook/nobody-made-it")
        fail(build_entry(3))
    assert webhook.titles == ["[error] spam: score failed", "[well again] spam: score failed"]


@pytest.mark.parametrize("error", [BadData, Refused, Unavailable])
def test_what_to_do_follows_from_the_family(
    error: type[ScorelakeError], environment: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    fail(build_entry(), error("as it is"))
    severity = "[warning]" if error is Refused else "[error]"
    assert webhook.titles[0].startswith(severity)


def test_a_refused_batch_is_told_and_the_next_good_one_ends_it(
    lake: Lake, environment: pytest.MonkeyPatch, webhook: Webhook, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "comments.csv"
    header = "comment_id,text,channel_id,published_at,observed_at\n"
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        file.write_text(f"{header},nobody,c,2026-09-30T00:00:00Z,2026-09-30T00:00:00Z\n")
        with pytest.raises(Refused):
            ingest("comments", [str(file)], now=NOW)
        file.write_text(f"{header}Ug1,somebody,c,2026-09-30T00:00:00Z,2026-09-30T00:00:00Z\n")
        ingest("comments", [str(file)], now=NOW + HOUR)
    assert webhook.titles == ["[warning] ingest refused", "[well again] ingest refused"]
