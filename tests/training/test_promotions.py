"""Who was champion at any instant, from the ledger alone."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from training.promotions import Action, Promotion, append_promotion, read_champion_at

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
