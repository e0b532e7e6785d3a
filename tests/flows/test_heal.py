"""What heals itself, on a real lake and a real registry: a bad version is taken back and its comments scored again."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from feature_repo.lake import Lake, read_lake, write_lake
from flows.entry import Entry, begin
from flows.heal import heal
from flows.monitor import watch_performance
from scoring.alarm import Alarm
from scoring.engine import LocalEngine
from scoring.healing import Symptom
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from training.promote import promote_version

FORCED_AT = datetime(2026, 10, 3, tzinfo=UTC)
DAY = timedelta(days=1)
SYMPTOM = Symptom("monitor-1", FORCED_AT + DAY, has_drifting_predictions=True)


@pytest.fixture
def lake(
    two_versions: Path, tmp_path: Path, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lake]:
    """Version 2 of spam was forced, and all comments are scored by it; some of them version 1 has never seen."""
    lake = Lake(Path(shutil.copytree(two_versions, tmp_path / "home")))
    monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
    promote_version(lake, "spam", "2", run_id="forced", now=FORCED_AT, overruling="it looks better")
    request = ScoreRequest("spam", "backfill", "2")
    score_owed(lake, request, run_id="by-2", now=FORCED_AT, options=ScoreOptions(10_000, LocalEngine(1)))
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from scores.spam where model_version = '1' and hash(comment_id) % 3 = 0")
    assert read_versions(lake) == {"2"}
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        yield lake


def build_entry(days: float) -> Entry:
    return begin("monitor", "spam", FORCED_AT + days * DAY)


def query(lake: Lake, sql: str) -> list[Any]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_versions(lake: Lake) -> set[str]:
    return {row[0] for row in query(lake, "select distinct model_version from scores.spam_current")}


def test_a_fresh_bad_version_is_taken_back_scored_again_and_then_left_alone(lake: Lake) -> None:
    comments = query(lake, "select count(*) from scores.spam_current")
    done = heal(build_entry(2), "spam", SYMPTOM)
    assert done is not None
    assert done.decision.act == "roll back"
    assert "Version 1 is champion again" in done.outcome
    assert read_versions(lake) == {"1"}
    assert query(lake, "select count(*) from scores.spam_current") == comments
    (run,) = query(lake, "select run_id, model_version, details from ops.runs where kind = 'heal'")
    assert run[1] == "2"
    assert json.loads(run[2])["cause"] == "monitor-1"
    last = "select action, champion_after, run_id, reasons from ops.promotions where model = 'spam' order by decided_at"
    action, champion, run_id, reasons = query(lake, last)[-1]
    assert (action, champion, run_id) == ("rolled_back", "1", run[0])
    assert "version 2 was promoted at 2026-10-03 00:00 UTC, before the drift began" in reasons[0]
    assert [key for (key,) in query(lake, "select key from ops.alerts")] == ["heal/spam"]

    again = heal(build_entry(2.5), "spam", SYMPTOM)
    assert again is not None
    assert (again.decision.act, again.outcome) == ("none", "left alone")
    assert "there was an automatic act at 2026-10-05 00:00 UTC already" in again.decision.why

    later = heal(build_entry(3.1), "spam", SYMPTOM)
    assert later is not None
    assert (later.decision.act, later.decision.why) == ("train", "version 1 was not newly promoted")
    assert later.outcome.startswith("Trained: ")
    acts = query(lake, "select details ->> 'act' from ops.runs where kind = 'heal' order by started_at")
    assert acts == [("roll back",), ("train",)]


def test_decay_starts_training_once_a_day_and_takes_nothing_back(lake: Lake) -> None:
    alarm = Alarm(is_on=True, began_at=FORCED_AT + DAY, violations=2, windows=3)
    done = watch_performance(build_entry(2), alarm)
    assert done is not None
    assert (done.decision.act, done.outcome[:9]) == ("train", "Trained: ")
    again = watch_performance(build_entry(2.5), alarm)
    assert again is not None
    assert again.decision.act == "none"
    acts = query(lake, "select details ->> 'act', details ->> 'symptom' from ops.runs where kind = 'heal'")
    assert acts == [("train", "decay")]
    assert query(lake, "select * from ops.promotions where action = 'rolled_back'") == []
    alerts = query(lake, "select key, message from ops.alerts where closed_at is null order by key")
    assert [key for key, _ in alerts] == ["heal/spam", "performance/spam"]
    assert "What can be done by itself is done." in alerts[1][1]
    watch_performance(build_entry(3), Alarm(is_on=False, began_at=None, violations=0, windows=3))
    assert query(lake, "select key from ops.alerts where closed_at is null") == [("heal/spam",)]


def test_nothing_is_done_when_it_is_switched_off(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELAKE_HEAL", "false")
    assert heal(build_entry(2), "spam", SYMPTOM) is None
    assert query(lake, "select * from ops.runs where kind = 'heal'") == []
