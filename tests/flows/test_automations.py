"""What is declared is recognised on a server, in whatever order it tells it."""

import json
from itertools import permutations

from prefect.events import Automation

from flows.automations import CRASHED, _is_declared


def test_the_events_of_a_trigger_have_no_order() -> None:
    told = json.loads(CRASHED.model_dump_json()) | {"id": "00000000-0000-0000-0000-000000000001"}
    events = told["trigger"]["expect"]
    for order in permutations(events):
        told["trigger"]["expect"] = list(order)
        assert _is_declared(Automation.model_validate(told)), order
    told["trigger"]["expect"] = events[1:]
    assert not _is_declared(Automation.model_validate(told))
