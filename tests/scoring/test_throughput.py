"""Rows a second of scoring runs beside the runs before: odd is what is slower than its rows explain."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from feature_repo.lake import Lake, read_lake, write_lake
from scoring.throughput import Runs, check_throughput, find_usual_speed

NOW = datetime(2026, 10, 12, tzinfo=UTC)


def draw_runs(count: int, *, slower: float = 1.0, seed: int = 1) -> Runs:
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(8, 1, count)
    return Runs(rows, (8 + rows / 30_000) * rng.lognormal(0, 0.1, count) * slower)


@pytest.mark.parametrize(("slower", "is_odd"), [(0.5, False), (1.0, False), (1.3, False), (2.0, True)])
def test_slower_is_odd_and_faster_is_not(*, slower: float, is_odd: bool) -> None:
    newest = draw_runs(24, slower=slower, seed=2)
    usual = find_usual_speed(draw_runs(60), newest)
    assert usual is not None
    assert usual.contains(float(newest.rows.sum() / newest.seconds.sum())) is not is_odd


def test_few_rows_explain_few_rows_a_second_and_odd_runs_of_the_past_change_nothing() -> None:
    history = draw_runs(60)
    history.seconds[:8] *= 50
    small = Runs(np.array([10.0]), np.array([8.0]))
    usual = find_usual_speed(history, small)
    assert usual is not None
    assert usual.expected == pytest.approx(10 / 8, rel=0.1)
    assert usual.contains(10 / 8)


def test_without_history_there_is_no_verdict() -> None:
    nothing = Runs(np.array([]), np.array([]))
    assert find_usual_speed(draw_runs(9), draw_runs(1)) is None
    assert find_usual_speed(draw_runs(10), nothing) is None
    assert (
        find_usual_speed(Runs(np.full(10, 5.0), np.full(10, 2.0)), Runs(np.array([5.0]), np.array([2.0]))) is not None
    )


def test_the_last_day_is_read_beside_the_days_before(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        for number in range(16):
            seconds = 40.0 if number < 3 else 10.0
            started_at = NOW - timedelta(hours=6 * number + 1)
            connection.execute(
                "insert into ops.runs by name select $id as run_id, 'score' as kind, 'spam' as model, $role as role, "
                "$at as started_at, $at as ended_at, 'done' as outcome, 1000 as rows_out, $details as details",
                {
                    "id": str(number),
                    "role": "shadow" if number == 0 else "production",
                    "at": started_at,
                    "details": json.dumps({"stages": {"score": {"seconds": seconds}}}),
                },
            )
    with read_lake(lake) as connection:
        check = check_throughput(connection, "spam", NOW)
        other = check_throughput(connection, "sentiment", NOW)
    assert (check.value, check.window_to, check.is_violated) == (3000 / 90, NOW - timedelta(hours=7), True)
    assert check.usual is not None
    assert check.usual.expected == pytest.approx(100)
    assert (other.value, other.usual, other.is_violated) == (None, None, False)
