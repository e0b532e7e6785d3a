"""A training run does again what its inputs ask for, and nothing else."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import read_materialized_version
from flows.train import build_report, check_promoted, summarize
from training.promote import promote_version, roll_back
from training.registry import list_versions, resolve
from training.spec import GateBounds, ModelSpec, read_spec
from training.train import TrainReceipt, train_model

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LENIENT = GateBounds(min_macro_f1=0.1, max_ece=1, max_loss=1, max_slice_loss=1)
OTHER = {"C": 0.7}
SHUFFLED = {"label_shuffle_seed": 1, "C": 1.0}

pytestmark = pytest.mark.path


@pytest.fixture
def lake(trained_home: Path, tmp_path: Path) -> Lake:
    """Its own lake, with version 1 of each model champion."""
    return copy(trained_home, tmp_path)


def copy(home: Path, folder: Path) -> Lake:
    return Lake(shutil.copytree(home, folder / "home"))


@pytest.fixture(scope="module")
def surpassed(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake to copy: another candidate has become champion, as version 2."""
    lake = copy(trained_home, tmp_path_factory.mktemp("surpassed"))
    other = train(lake, "other", replace(read_spec("sentiment"), gate=LENIENT), candidate=OTHER)
    assert (other.version, other.champion_after) == ("2", "2")
    return lake


@pytest.fixture(scope="module")
def refused(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, TrainReceipt]:
    """A lake to copy: the gate has refused a candidate that learned from shuffled labels, version 2."""
    lake = copy(trained_home, tmp_path_factory.mktemp("refused"))
    receipt = train(lake, "refused", candidate=SHUFFLED)
    assert (receipt.version, receipt.verdict.is_promoted) == ("2", False)
    return lake, receipt


def train(lake: Lake, run_id: str, spec: ModelSpec | None = None, **options: Any) -> TrainReceipt:
    with read_lake(lake) as connection:
        data_version = read_materialized_version(connection)
    spec = spec or read_spec("sentiment")
    return train_model(lake, spec, run_id=run_id, now=NOW, data_version=data_version, **options)


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def write(lake: Lake, statement: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(statement)


def name_versions(lake: Lake) -> list[str]:
    return [one.version for one in list_versions(lake, "sentiment")]


def test_when_nothing_has_changed_nothing_is_done_and_the_run_says_why(lake: Lake) -> None:
    receipt = train(lake, "again")
    assert (receipt.version, receipt.champion_before, receipt.champion_after) == ("1", "1", "1")
    assert receipt.is_unchanged
    assert set(receipt.stage_seconds) == {"read"}
    assert receipt.why == (
        "version 1 was fitted from the same data, features, settings, code and dependencies, and is champion"
    )
    assert name_versions(lake) == ["1"]
    assert read(lake, "select count(*) from ops.promotions where model = 'sentiment'") == [(1,)]
    ((outcome, version, rows, details),) = read(
        lake, "select outcome, model_version, rows_owed, details from ops.runs where run_id = 'again'"
    )
    assert (outcome, version, rows) == ("done", "1", receipt.rows)
    assert json.loads(details)["nothing_done"] == receipt.why


def test_what_stands_is_told_as_it_was(lake: Lake) -> None:
    receipt = train(lake, "again")
    recorded = resolve(lake, "sentiment").descriptor
    assert receipt.digest == recorded["digest"]
    assert {name: one.value for name, one in receipt.evaluation.overall.values.items()} == recorded["metrics"]
    ((reasons,),) = read(lake, "select reasons from ops.promotions where model = 'sentiment'")
    assert receipt.verdict.sentences == tuple(reasons)
    report = build_report(receipt)
    assert report.title == "sentiment version 1: nothing done, it stands as promoted"
    assert report.facts["nothing done, because"] == receipt.why
    assert summarize(receipt) == f"nothing done: {receipt.why}"


def test_who_asks_for_it_gets_another_version_of_the_same(lake: Lake) -> None:
    receipt = train(lake, "again", is_again=True)
    assert (receipt.version, receipt.why) == ("2", "it was asked for")
    first, second = (resolve(lake, "sentiment", number).descriptor for number in ("1", "2"))
    for name in ("inputs", "parameters_digest", "predictions_digest", "metrics"):
        assert first[name] == second[name]


def test_another_label_is_a_reason_to_fit_and_is_named(lake: Lake) -> None:
    ((name,),) = read(lake, "select min(comment_id) from raw.labels where task = 'sentiment' and label = 'neutral'")
    write(lake, f"update raw.labels set label = 'positive' where comment_id = '{name}' and task = 'sentiment'")
    receipt = train(lake, "again")
    assert (receipt.version, receipt.why) == ("2", "changed since version 1: data")
    assert not receipt.is_reused
    assert train(lake, "and again").is_unchanged


@pytest.mark.parametrize(
    ("change", "part"),
    [({"recipe": {"C": 0.7}}, "recipe"), ({"spec": {"min_rows": 199}}, "spec")],
    ids=["recipe", "spec"],
)
def test_other_settings_are_a_reason_to_fit_and_are_named(lake: Lake, change: dict[str, Any], part: str) -> None:
    spec = replace(read_spec("sentiment"), gate=LENIENT, **change.get("spec", {}))
    receipt = train(lake, "again", spec, candidate=change.get("recipe"))
    assert (receipt.version, receipt.why) == ("2", f"changed since version 1: {part}")


def test_another_champion_is_a_reason_to_judge_again_but_not_to_fit(surpassed: Lake, tmp_path: Path) -> None:
    lake = copy(surpassed.home, tmp_path)
    receipt = train(lake, "again")
    assert receipt.version == "1"
    assert (receipt.is_reused, receipt.is_unchanged) == (True, False)
    assert set(receipt.stage_seconds) >= {"read", "judge"}
    assert receipt.why.endswith("and not judged against version 2, the champion")
    assert name_versions(lake) == ["2", "1"]
    ((before, reasons),) = read(lake, "select champion_before, reasons from ops.promotions where run_id = 'again'")
    assert before == "2"
    assert tuple(reasons) == receipt.verdict.sentences
    assert "judged again without a fit, because" in build_report(receipt).facts
    assert train(lake, "and again").is_unchanged, "its verdict against this champion is known now"


def test_other_bounds_are_a_reason_to_judge_again_but_not_to_fit(
    refused: tuple[Lake, TrainReceipt], tmp_path: Path
) -> None:
    lake = copy(refused[0].home, tmp_path)
    left = train(lake, "left", candidate=SHUFFLED)
    assert left.is_unchanged
    assert left.verdict == refused[1].verdict
    check_promoted(left)  # an earlier run has told of the refusal
    assert build_report(left).title == "sentiment version 2: nothing done, it stands as REFUSED"
    lenient = replace(read_spec("sentiment"), gate=LENIENT)
    passed = train(lake, "passed", lenient, candidate=SHUFFLED)
    assert (passed.version, passed.is_reused, passed.champion_after) == ("2", True, "2")
    assert passed.why.endswith("and judged by other bounds")


def test_a_rollback_is_not_undone_by_training_on_the_same_data(surpassed: Lake, tmp_path: Path) -> None:
    lake = copy(surpassed.home, tmp_path)
    roll_back(lake, "sentiment", reason="angry mails", run_id="back", now=NOW)
    receipt = train(lake, "again", replace(read_spec("sentiment"), gate=LENIENT), candidate=OTHER)
    assert receipt.is_unchanged
    assert receipt.champion_after == "1"
    assert resolve(lake, "sentiment").version == "1"


def test_a_champion_by_hand_stands_as_the_gate_saw_it(refused: tuple[Lake, TrainReceipt], tmp_path: Path) -> None:
    lake = copy(refused[0].home, tmp_path)
    promote_version(lake, "sentiment", "2", run_id="by-hand", now=NOW, overruling="a drill")
    receipt = train(lake, "again", candidate=SHUFFLED)
    assert receipt.is_unchanged
    assert (receipt.version, receipt.champion_after, receipt.verdict.is_promoted) == ("2", "2", False)


def test_a_run_that_was_killed_before_its_verdict_is_gone_on_with(lake: Lake) -> None:
    write(lake, "delete from ops.promotions where model = 'sentiment'")
    write(lake, "delete from ops.runs where kind = 'train' and model = 'sentiment'")
    receipt = train(lake, "next")
    assert (receipt.version, receipt.champion_before, receipt.champion_after) == ("1", None, "1")
    assert receipt.is_reused
    assert receipt.why.endswith("and not judged against no champion, as there is none")


def test_a_version_whose_files_were_altered_stands_for_nothing(surpassed: Lake, tmp_path: Path) -> None:
    lake = copy(surpassed.home, tmp_path)
    path = resolve(lake, "sentiment", "1").path.with_name("descriptor.json")
    path.write_text(path.read_text() + "\n")
    receipt = train(lake, "again")
    assert (receipt.version, receipt.is_reused) == ("3", False)
    assert receipt.why == "changed since version 2: recipe"


def test_a_version_of_a_lake_that_moved_is_judged_again_where_the_lake_lies_now(lake: Lake, trained_home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(trained_home.rglob("*"))}
    write(lake, "delete from ops.promotions where model = 'sentiment'")
    write(lake, "delete from ops.runs where kind = 'train' and model = 'sentiment'")
    receipt = train(lake, "next")
    assert receipt.is_reused
    told = list((lake.home / "mlflow" / "artifacts").glob("*/artifacts/verdict.md"))
    assert any(receipt.verdict.sentences[0] in path.read_text() for path in told)
    assert {path: path.stat().st_mtime_ns for path in sorted(trained_home.rglob("*"))} == before
