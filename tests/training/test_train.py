import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadData, Refused, Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from training.promote import promote_version, roll_back
from training.promotions import read_standing
from training.reevaluate import EvaluateReceipt, evaluate_model
from training.registry import resolve
from training.spec import read_spec
from training.train import TrainReceipt, train_model

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_data_version(lake: Lake) -> int:
    return int(resolve(lake, "sentiment").descriptor["data_version"])


def copy(home: Path, target: Path) -> Lake:
    shutil.copytree(home, target)
    return Lake(target)


@pytest.fixture(scope="module")
def judged(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, TrainReceipt]:
    """The lake with a champion, after the gate has refused a candidate that learned from shuffled labels."""
    lake = copy(trained_home, tmp_path_factory.mktemp("judged") / "home")
    receipt = train_model(
        lake,
        read_spec("sentiment"),
        run_id="worse",
        now=NOW,
        data_version=read_data_version(lake),
        candidate={"label_shuffle_seed": 1, "C": 1.0},
    )
    return lake, receipt


@pytest.fixture
def lake_after(judged: tuple[Lake, TrainReceipt], tmp_path: Path) -> Lake:
    return copy(judged[0].home, tmp_path / "after")


def test_a_worse_candidate_is_refused_and_the_champion_stays(judged: tuple[Lake, TrainReceipt]) -> None:
    lake, receipt = judged

    assert not receipt.verdict.is_promoted
    assert (receipt.version, receipt.champion_before, receipt.champion_after) == ("2", "1", "1")
    assert resolve(lake, "sentiment").version == "1"
    assert resolve(lake, "sentiment", "challenger").version == "2"


def test_the_refusal_is_in_the_ledger_with_its_reasons(judged: tuple[Lake, TrainReceipt]) -> None:
    lake, receipt = judged
    ((action, before, after, reasons, decided_at),) = read(
        lake,
        "select action, champion_before, champion_after, reasons, decided_at from ops.promotions "
        "where run_id = 'worse'",
    )
    assert (action, before, after) == ("refused", "1", "1")
    assert tuple(reasons) == receipt.verdict.sentences
    assert any("against the champion's" in reason for reason in reasons)
    assert NOW < decided_at < NOW + timedelta(minutes=10)

    ((kind, outcome, version, rows, seconds, details),) = read(
        lake,
        "select kind, outcome, model_version, rows_owed, stage_seconds, details from ops.runs where run_id = 'worse'",
    )
    assert (kind, outcome, version, rows) == ("train", "refused", "2", receipt.rows)
    assert set(json.loads(seconds)) == {"read", "fit", "judge", "register"}
    assert json.loads(details)["digest"] == receipt.digest


def test_both_versions_learned_from_the_same_rows(judged: tuple[Lake, TrainReceipt]) -> None:
    lake, receipt = judged
    champion = resolve(lake, "sentiment").descriptor
    assert receipt.digest == champion["digest"], "the same labels, texts and features, whenever the set is built"
    assert receipt.rows == champion["rows"]
    assert 0 < receipt.evaluation.overall.rows < receipt.rows


def test_an_operator_who_obeys_the_gate_is_stopped_by_it(lake_after: Lake) -> None:
    with pytest.raises(Refused, match=r"does not let sentiment version 2 pass: .*against the champion's.*say why"):
        promote_version(lake_after, "sentiment", "2", run_id="by-hand", now=NOW)
    assert resolve(lake_after, "sentiment").version == "1"
    assert read(lake_after, "select count(*) from ops.promotions where run_id = 'by-hand'") == [(0,)]


def test_an_operator_may_overrule_the_gate_and_roll_back(lake_after: Lake) -> None:
    receipt = promote_version(
        lake_after, "sentiment", "2", run_id="by-hand", now=NOW, overruling="the drill of this month"
    )
    assert (receipt.champion_before, receipt.champion_after) == ("1", "2")
    assert resolve(lake_after, "sentiment").aliases == ("champion",)
    assert resolve(lake_after, "sentiment", "previous").aliases == ("previous",)

    again = promote_version(lake_after, "sentiment", "2", run_id="again", now=NOW)
    assert (again.champion_before, again.champion_after) == ("2", "2"), "the champion is champion already"

    back = roll_back(lake_after, "sentiment", reason="it was a drill", run_id="back", now=NOW)
    assert (back.champion_before, back.champion_after) == ("2", "1")
    assert resolve(lake_after, "sentiment").version == "1"
    assert resolve(lake_after, "sentiment", "previous").version == "2"

    assert read(
        lake_after,
        "select run_id, version, action, champion_before, champion_after, reasons from ops.promotions "
        "where run_id in ('by-hand', 'again', 'back') order by decided_at",
    ) == [
        ("by-hand", "2", "promoted", "1", "2", ["Promoted by hand, overruling the gate: the drill of this month"]),
        ("back", "1", "rolled_back", "2", "1", ["it was a drill"]),
    ]
    assert roll_back(lake_after, "sentiment", reason="and again", run_id="forth", now=NOW).champion_after == "2"


def test_a_first_champion_has_nothing_to_roll_back_to(lake_after: Lake, lake: Lake) -> None:
    with pytest.raises(Refused, match="spam has no champion before 1; nothing to roll back to"):
        roll_back(lake_after, "spam", reason="", run_id="back", now=NOW)
    with pytest.raises(Refused, match="spam has no champion before a first one; nothing to roll back to"):
        roll_back(lake, "spam", reason="", run_id="back", now=NOW)


def test_who_was_champion_at_any_instant_is_one_query(lake_after: Lake) -> None:
    promote_version(lake_after, "sentiment", "2", run_id="by-hand", now=NOW, overruling="a drill")
    at = (
        "select arg_max(champion_after, decided_at) from ops.promotions "
        "where model = 'sentiment' and decided_at <= timestamptz '{}'"
    )
    assert read(lake_after, at.format("2026-12-31 00:00:00+00")) == [("1",)]
    assert read(lake_after, at.format("2027-12-31 00:00:00+00")) == [("2",)]


def evaluate(lake: Lake, model: str, version: str = "champion") -> EvaluateReceipt:
    return evaluate_model(
        lake, read_spec(model), version, run_id=f"evaluate-{model}", now=NOW, data_version=read_data_version(lake)
    )


def test_evaluating_the_champion_again_gives_the_figures_it_was_registered_with(lake_after: Lake) -> None:
    for model in ("sentiment", "spam"):
        found = evaluate(lake_after, model)
        registered = resolve(lake_after, model).descriptor["metrics"]

        assert found.version == "1"
        assert {name: one.value for name, one in found.evaluation.overall.values.items()} == pytest.approx(registered)
        ((kind, outcome, rows),) = read(
            lake_after, f"select kind, outcome, rows_owed from ops.runs where run_id = 'evaluate-{model}'"
        )
        assert (kind, outcome, rows) == ("evaluate", "done", found.evaluation.overall.rows)


def test_a_version_of_another_split_is_neither_evaluated_nor_compared(lake_after: Lake) -> None:
    spec = replace(read_spec("sentiment"), held_out_salt="another")
    with pytest.raises(BadData, match="it may have learned from them: held_out_salt was"):
        evaluate_model(lake_after, spec, "1", run_id="e", now=NOW, data_version=read_data_version(lake_after))
    with pytest.raises(BadData, match="it may have learned from them: held_out_salt was"):
        train_model(
            lake_after, spec, run_id="t", now=NOW, data_version=read_data_version(lake_after), candidate={"C": 1.0}
        )


def test_a_kill_after_registration_leaves_a_version_that_nothing_uses(lake_after: Lake) -> None:
    """What a train killed before its verdict leaves is a version without a row in the ledger."""
    with write_lake(lake_after, purpose="test") as connection:
        connection.execute("delete from ops.promotions where run_id = 'worse'")
        connection.execute("delete from ops.runs where run_id = 'worse'")

    assert resolve(lake_after, "sentiment").version == "1"
    with pytest.raises(Refused, match=r"does not let sentiment version 2 pass: It was never judged\."):
        promote_version(lake_after, "sentiment", "2", run_id="by-hand", now=NOW)

    next_one = train_model(
        lake_after,
        read_spec("sentiment"),
        run_id="next",
        now=NOW,
        data_version=read_data_version(lake_after),
        candidate={"C": 1.0},
    )
    assert (next_one.version, next_one.champion_before) == ("3", "1")


def test_labels_given_after_now_do_not_count(lake_after: Lake) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(BadData, match="sentiment needs 200 labelled comments; there are 0"):
        train_model(
            lake_after, read_spec("sentiment"), run_id="t", now=long_ago, data_version=read_data_version(lake_after)
        )


def test_training_on_a_lake_without_definitions_says_what_to_do(lake: Lake) -> None:
    with pytest.raises(Unavailable, match="run `scorelake apply`"):
        train_model(lake, read_spec("spam"), run_id="t", now=NOW, data_version=1)
    with read_lake(lake) as connection:
        assert read_standing(connection, "spam").champion is None


def test_while_others_write_the_operator_is_told_who(lake_after: Lake) -> None:
    impatient = replace(lake_after, lock_wait_seconds=0.1)
    with (
        write_lake(lake_after, purpose="a long import"),
        pytest.raises(Unavailable, match="being written by a long import"),
    ):
        promote_version(impatient, "sentiment", "2", run_id="by-hand", now=NOW, overruling="a drill")
    assert resolve(lake_after, "sentiment").version == "1"
