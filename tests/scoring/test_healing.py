"""What an alarm calls for, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scoring.healing import HealingPolicy, History, Symptom, decide
from training.promotions import Standing

NOW = datetime(2026, 10, 8, tzinfo=UTC)
DAY = timedelta(days=1)
SYMPTOM = Symptom("monitor-1", NOW - DAY, has_drifting_predictions=True)
FRESH = History(Standing("2", "1"), "promoted", NOW - 2 * DAY)
OLD: dict[str, Any] = {"changed_at": NOW - 9 * DAY}


@pytest.mark.parametrize(
    ("symptom", "history", "act", "why"),
    [
        ({}, {}, "roll back", "version 2 was promoted at 2026-10-06 00:00 UTC, before the drift began"),
        ({}, {"changed_by": "rolled_back"}, "train", "version 2 was not newly promoted"),
        ({}, {"changed_by": None, "changed_at": None}, "train", "version 2 was not newly promoted"),
        ({}, {"changed_at": NOW - 8 * DAY}, "train", "version 2 has been champion for 8 days"),
        ({"began_at": NOW - 3 * DAY}, {}, "train", "the drift began before version 2 was promoted"),
        ({"is_decay": True}, {}, "train", "version 2 is less often right than it promised, as late labels say"),
        ({"is_decay": True}, {"last_act_at": NOW - 0.9 * DAY}, "none", "there was an automatic act at"),
        (
            {"has_drifting_predictions": False, "has_drifting_features": True},
            {},
            "train",
            "features drifted, and not what version 2 says",
        ),
        ({"has_drifting_features": True}, {}, "train", "features drifted, and what version 2 says"),
        ({}, {"standing": Standing("2", None)}, "train", "there is no champion before version 2"),
        ({}, {"is_previous_refused": True}, "train", "the gate refused version 1, which was champion before version 2"),
        (
            {},
            {"last_act_at": NOW - 0.9 * DAY},
            "none",
            "there was an automatic act at 2026-10-07 02:24 UTC already",
        ),
        ({}, {"last_act_at": NOW - DAY}, "roll back", "version 2 was promoted"),
        (
            {},
            OLD | {"last_act_at": NOW - DAY, "last_act": "train"},
            "none",
            "this alarm started training at 2026-10-07",
        ),
        ({"is_decay": True}, {"last_act_at": NOW - DAY, "last_act": "train"}, "none", "this alarm started training at"),
        ({}, OLD | {"last_act_at": NOW - 1.1 * DAY, "last_act": "train"}, "train", "has been champion for 9 days"),
        ({}, OLD | {"last_act_at": NOW - DAY, "last_act": "roll back"}, "train", "has been champion for 9 days"),
        (
            {"began_at": NOW - 8 * DAY},
            OLD | {"last_act_at": NOW - 7 * DAY, "last_act": "train"},
            "train",
            "has been champion for 9 days",
        ),
    ],
)
def test_only_a_fresh_suspect_is_rolled_back(
    symptom: dict[str, Any], history: dict[str, Any], act: str, why: str
) -> None:
    decision = decide(replace(SYMPTOM, **symptom), replace(FRESH, **history), HealingPolicy(), NOW)
    assert decision.act == act
    assert why in decision.why
