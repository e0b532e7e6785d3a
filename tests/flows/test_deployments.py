"""The file of deployments as values, and how a server may differ from it."""

import importlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prefect.utilities.callables import parameter_schema

from feature_repo.errors import BadData
from flows.automations import TRAINING_WANTED
from flows.deployments import Schedule, Trigger, compare, keep_switches, name_retraining, read_file
from flows.stage import RUN_SECONDS
from training.spec import list_specs

if TYPE_CHECKING:
    from prefect import Flow

FILE = Path(__file__).parents[2] / "prefect.yaml"
ENTRIES = yaml.safe_load(FILE.read_text())["deployments"]
DECLARED = {one.name: one for one in read_file(FILE)}
SCORE = DECLARED["score/spam-hourly"]


def load_flow(entrypoint: str) -> "Flow[..., Any]":
    module, _, name = entrypoint.partition(":")
    found: Flow[..., Any] = getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), name)
    return found


def test_there_is_a_deployment_for_every_stage_and_model() -> None:
    staged = {"score": "hourly", "train": "weekly", "evaluate": "daily", "monitor": "daily", "skew": "daily"}
    assert set(DECLARED) == {
        "ingest/hourly", "materialize/hourly", "maintain/daily",
        *(f"ingest/feedback-{model}-hourly" for model in list_specs()),
        *(f"backfill/{model}" for model in list_specs()),
        *(f"train/{model}-retrain" for model in list_specs()),
        *(f"{flow}/{model}-{how_often}" for flow, how_often in staged.items() for model in list_specs()),
    }  # fmt: skip


@pytest.mark.parametrize("name", DECLARED)
def test_a_deployment_says_what_an_operator_needs(name: str) -> None:
    one, flow = DECLARED[name], name.split("/", maxsplit=1)[0]
    assert one.description
    assert one.version == version("scorelake")
    assert one.limit == 1
    assert {"scorelake"} < set(one.tags)
    is_asked_for = flow == "backfill" or name.endswith("-retrain")
    assert bool(one.schedules) != is_asked_for, "backfill by hand, retraining by its automation"


@pytest.mark.parametrize("model", list_specs())
def test_training_is_started_by_what_asks_for_it(model: str) -> None:
    assert DECLARED[f"train/{model}-retrain"].triggers == (
        Trigger(name_retraining(model), TRAINING_WANTED, f"scorelake.model.{model}"),
    )


def test_flows_are_named_like_their_functions_and_end_if_they_hang() -> None:
    for entry in ENTRIES:
        name = entry["entrypoint"].partition(":")[2]
        flow = load_flow(entry["entrypoint"])
        assert flow.name == name
        assert flow.timeout_seconds == (None if name in {"train", "backfill"} else RUN_SECONDS)


@pytest.mark.parametrize("name", sorted({one["entrypoint"] for one in ENTRIES}))
def test_the_form_of_a_run_explains_every_parameter(name: str) -> None:
    """Prefect reads descriptions from docstrings of Google's style alone."""
    described = parameter_schema(load_flow(name)).properties
    assert all(len(parameter.get("description", "")) > 10 for parameter in described.values()), described


def test_a_difference_says_what_was_expected_and_found() -> None:
    later = replace(SCORE, schedules=(Schedule("hourly", "21 * * * *", "UTC"),), limit=None)
    assert [str(one) for one in compare([SCORE, DECLARED["backfill/spam"]], {SCORE.name: later})] == [
        "score/spam-hourly: schedules should be 20 * * * * UTC, found 21 * * * * UTC",
        "score/spam-hourly: limit should be 1, found None",
        "backfill/spam: it should be there, found nothing",
    ]
    assert compare([SCORE], {SCORE.name: SCORE, "operators/own": later}) == ()


def test_what_an_operator_has_switched_off_is_expected_to_be_off() -> None:
    (schedule,) = SCORE.schedules
    off = replace(SCORE, schedules=(replace(schedule, cron="1 * * * *", is_active=False),), is_paused=True)
    kept = keep_switches(SCORE, off)
    assert kept == replace(SCORE, schedules=(replace(schedule, is_active=False),), is_paused=True)
    assert keep_switches(SCORE, None) == SCORE
    retrain = DECLARED["train/spam-retrain"]
    off = replace(retrain, triggers=(replace(retrain.triggers[0], is_enabled=False),))
    assert keep_switches(retrain, off) == off


@pytest.mark.parametrize(("text", "words"), [(None, "no prefect.yaml at"), ("deployments: [{}]", "KeyError")])
def test_a_file_that_is_not_as_expected_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "prefect.yaml").write_text(text)
    with pytest.raises(BadData, match=words):
        read_file(tmp_path / "prefect.yaml")
