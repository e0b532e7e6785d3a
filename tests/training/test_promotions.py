"""Who was champion at any instant, from the ledger alone."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from training.promotions import (
    BY_HAND,
    Action,
    Promotion,
    append_promotion,
    is_refused_by_gate,
    read_champion_at,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DECISIONS: list[tuple[int, str, Action, str | None, str | None]] = [
    (1, "1", "refused", None, None),
    (2, "2", "promoted", None, "2"),
    (3, "3", "refused", "2", "2"),
    (4, "4", "promoted", "2", "4"),
    (5, "2", "rolled_back", "4", "2"),
]


@pytest.fixture
def decided(lake: Lake) -> Lake:
    for day, version, action, before, after in DECISIONS:
        decided_at = START + timedelta(days=day)
        row = Promotion(decided_at, "sentiment", version, action, before, after, ("because",), f"run-{day}")
        with write_lake(lake, purpose="test") as connection:
            run_transaction(connection, lambda inside, row=row: append_promotion(inside, row))  # type: ignore[misc]
    return lake


@pytest.mark.parametrize(
    ("days", "champion"),
    [(0, None), (1, None), (1.5, None), (2, "2"), (3.5, "2"), (4, "4"), (4.9, "4"), (5, "2"), (100, "2")],
)
def test_the_champion_at_an_instant_is_the_outcome_of_the_last_decision_up_to_it(
    decided: Lake, days: float, champion: str | None
) -> None:
    with read_lake(decided) as connection:
        assert read_champion_at(connection, "sentiment", START + timedelta(days=days)) == champion
        assert read_champion_at(connection, "spam", START + timedelta(days=days)) is None


def test_an_instant_without_a_zone_is_no_instant(decided: Lake) -> None:
    with read_lake(decided) as connection, pytest.raises(BadData, match="must say its time zone, found 2026-01-01"):
        read_champion_at(connection, "sentiment", datetime(2026, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("version", "is_refused"), [("1", True), ("2", False), ("3", True), ("4", False), ("9", False)]
)
def test_what_the_gate_refused_stays_refused_whoever_promotes_it(
    decided: Lake, version: str, *, is_refused: bool
) -> None:
    row = Promotion(
        START + timedelta(days=6),
        "sentiment",
        version,
        "promoted",
        "2",
        version,
        (f"{BY_HAND}, overruling",),
        "by-hand",
    )
    with write_lake(decided, purpose="test") as connection:
        run_transaction(connection, lambda inside: append_promotion(inside, row))
        assert is_refused_by_gate(connection, "sentiment", version) is is_refused
