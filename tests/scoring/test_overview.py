"""The index of monitoring runs and the trend picture: what they say, and that they load nothing."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from feature_repo.lake import Lake, write_lake
from scoring.alarm import AlarmRule
from scoring.checks import VOLUME, Check, Usual, append_checks
from scoring.overview import write_overview

START = datetime(2026, 10, 5, tzinfo=UTC)
DAY = timedelta(days=1)
PATTERN = "..xx."  # windows that drift


@pytest.fixture
def watched(lake: Lake) -> Lake:
    """A lake with five monitoring runs, of which the fourth was an alarm, and one report that is gone."""
    (lake.home / "reports").mkdir()
    with write_lake(lake, purpose="test") as connection:
        for number, mark in enumerate(PATTERN):
            at, run_id, is_odd = START + number * DAY, f"monitor-{number}", mark == "x"
            details = {
                "is_violated": is_odd,
                "is_alarm": number == 3,
                "drifted": ["text_chars", "a<b"] if is_odd else [],
                "window_to": str(at),
            }
            connection.execute(
                "insert into ops.runs by name select $run_id as run_id, 'monitor' as kind, 'spam' as model, "
                "$at as started_at, $at as ended_at, 'done' as outcome, $details as details",
                {"run_id": run_id, "at": at, "details": json.dumps(details)},
            )
            connection.execute(
                "insert into monitoring.drift by name select $run_id as run_id, 'spam' as model, $at as checked_at, "
                "$at as window_from, $at as window_to, 'text_chars' as column_name, 'data' as kind, 'wasserstein' as "
                "method, $score as score, 0.2 as threshold, $odd as is_drifted, 500 as reference_rows, 500 as "
                "current_rows, 'r' as report",
                {"run_id": run_id, "at": at, "score": 0.3 if is_odd else 0.1, "odd": is_odd},
            )
            check = Check(VOLUME, None, at - DAY, at, 90.0 - 80 * is_odd, Usual(100.0, 60.0, 150.0))
            append_checks(connection, [check], run_id=run_id, now=at)
            if number:
                (lake.home / "reports" / f"{run_id}.html").write_text("a page")
        week = [
            "monitor-4", "spam", "1", date(2026, 9, 28), "all", 200, 20, 0.9, 0.86, 0.94, 0.9, 0.86, 0.94, 0.95, True,
            True, START,
        ]  # fmt: skip
        connection.execute(f"insert into monitoring.performance values ({', '.join('?' for _ in week)})", week)
    return lake


def test_the_index_has_a_line_per_run_the_newest_first(watched: Lake) -> None:
    index = write_overview(watched, "spam", AlarmRule())
    html = index.read_text()
    lines = re.findall(r'<tr id="(.*?)">.*?<td class="(.*?)">.*?</td><td>(.*?)</td><td>(.*?)</td></tr>', html)
    assert lines == [
        ("monitor-4", "quiet", "", '<a href="monitor-4.html">report</a>'),
        ("monitor-3", "ALARM", "text_chars, a&lt;b", '<a href="monitor-3.html">report</a>'),
        ("monitor-2", "odd", "text_chars, a&lt;b", '<a href="monitor-2.html">report</a>'),
        ("monitor-1", "quiet", "", '<a href="monitor-1.html">report</a>'),
        ("monitor-0", "quiet", "", ""),
    ]
    assert '<img src="trend-spam.svg"' in html
    assert not re.search(r"https?:", html)


def test_the_picture_marks_what_is_odd_and_alarms(watched: Lake) -> None:
    index = write_overview(watched, "spam", AlarmRule())
    picture = index.with_name("trend-spam.svg")
    drawn = picture.read_text()
    assert drawn.rstrip().endswith("</svg>")
    # Three panels have odd points; drift and volume an alarm each.
    red = re.findall(r"stroke: #c53030", drawn)
    assert len(red) >= 5
    write_overview(watched, "spam", AlarmRule(3, 3))
    assert len(re.findall(r"stroke: #c53030", picture.read_text())) == len(red) - 2
    assert sorted(file.name for file in picture.parent.iterdir() if "draft" in file.name) == []


def test_before_anything_was_watched_there_are_empty_pages(lake: Lake) -> None:
    index = write_overview(lake, "spam", AlarmRule())
    assert "<tbody>\n\n</tbody>" in index.read_text()
    assert index.with_name("trend-spam.svg").read_text().count("nothing yet") == 4
