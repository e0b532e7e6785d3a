"""Scores and the labels that came later: which score is judged, in which week, and when that is an alarm."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake, write_lake
from scoring.alarm import AlarmRule
from scoring.performance import measure_performance
from training.promote import promote_version
from training.registry import resolve
from training.spec import read_spec

SCORED_AT = datetime(2026, 10, 1, tzinfo=UTC)  # a Thursday
DAY = timedelta(days=1)
WEEKS = (date(2026, 9, 28), date(2026, 10, 5), date(2026, 10, 12))
NOW = datetime(2026, 10, 18, tzinfo=UTC)


@pytest.fixture
def lake(two_versions: Path, tmp_path: Path) -> Lake:
    lake = Lake(Path(shutil.copytree(two_versions, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from raw.labels")
    return lake


def add_labels(lake: Lake, at: datetime, rows: int, *, wrong: int, skip: int = 0) -> None:
    """Label the scored comments from `skip` on, of which the first few have the other label than their score."""
    sql = f"""
        insert into raw.labels
        select comment_id, 'spam', if(place < {wrong}, if(label = 'spam', 'ham', 'spam'), label), $at, null,
            'test', 'batch', 1
        from (
            select comment_id, label, row_number() over (order by comment_id) - 1 - {skip} as place
            from scores.spam_current
        ) where place between 0 and {rows - 1}
    """
    with write_lake(lake, purpose="test") as connection:
        connection.execute(sql, {"at": at})


def measure(lake: Lake, run_id: str = "m", now: datetime = NOW) -> Any:
    return measure_performance(lake, read_spec("spam"), run_id=run_id, now=now, rule=AlarmRule())


def read_weeks(lake: Lake) -> list[Any]:
    with read_lake(lake) as connection:
        return connection.execute(
            "select week_on, model_version, label_count, accuracy, is_violated from monitoring.performance "
            "where slice = 'all' order by week_on, model_version"
        ).fetchall()


def test_two_bad_weeks_of_three_are_an_alarm_and_counting_again_changes_nothing(lake: Lake) -> None:
    add_labels(lake, SCORED_AT + DAY, 200, wrong=2)
    add_labels(lake, SCORED_AT + 6 * DAY, 200, wrong=80, skip=200)
    assert not measure(lake, now=SCORED_AT + 7 * DAY).is_on
    add_labels(lake, SCORED_AT + 13 * DAY, 200, wrong=60, skip=400)
    assert measure(lake).is_on
    expected = [(WEEKS[0], "1", 200, 0.99, False), (WEEKS[1], "1", 200, 0.6, True), (WEEKS[2], "1", 200, 0.7, True)]
    assert read_weeks(lake) == expected
    assert measure(lake, "again").is_on
    assert read_weeks(lake) == expected
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select slice, promised_accuracy, accuracy_low <= accuracy and accuracy <= accuracy_high "
            "from monitoring.performance where run_id = 'again'"
        ).fetchall()
    promised = resolve(lake, "spam", "1").descriptor["metrics"]["accuracy"]
    assert {row[1:] for row in rows} == {(promised, True)}
    assert {"all", *(one.name for one in read_spec("spam").slices if one.column == "url_count")} <= {
        row[0] for row in rows
    }


def test_a_label_from_before_the_score_or_after_the_run_judges_nothing(lake: Lake) -> None:
    add_labels(lake, SCORED_AT - DAY, 100, wrong=50)
    add_labels(lake, NOW + DAY, 100, wrong=50, skip=100)
    assert not measure(lake).is_on
    assert read_weeks(lake) == []


def test_few_labels_are_counted_and_no_verdict(lake: Lake) -> None:
    add_labels(lake, SCORED_AT + DAY, 20, wrong=20)
    add_labels(lake, SCORED_AT + 6 * DAY, 20, wrong=20, skip=20)
    assert not measure(lake).is_on
    assert read_weeks(lake) == [(WEEKS[0], "1", 20, 0, False), (WEEKS[1], "1", 20, 0, False)]


def test_the_score_of_the_champion_of_that_time_is_judged_whoever_scored_later(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "insert into scores.spam select * replace ('2' as model_version, $at as scored_at) from scores.spam",
            {"at": SCORED_AT + DAY},
        )
    promote_version(lake, "spam", "2", run_id="forced", now=SCORED_AT + 3 * DAY, overruling="to see it")
    add_labels(lake, SCORED_AT + 2 * DAY, 100, wrong=0)
    add_labels(lake, SCORED_AT + 6 * DAY, 100, wrong=0, skip=100)
    measure(lake)
    assert [row[:3] for row in read_weeks(lake)] == [(WEEKS[0], "1", 100), (WEEKS[1], "2", 100)]
