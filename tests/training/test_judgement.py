"""Decisions that meet: two processes judge candidates against one champion, and each gets its own decision."""

import multiprocessing
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake
from training.gate import Check, Verdict
from training.promotions import read_standing
from training.registry import resolve
from training.spec import GateBounds, ModelSpec, read_spec
from training.train import TrainReceipt, train_model

NOW = datetime(2027, 1, 1, tzinfo=UTC)
ANY_LOSS = GateBounds(min_macro_f1=0, max_ece=1, max_loss=0.99, max_slice_loss=0.99)


def read_generous_spec() -> ModelSpec:
    """Let every candidate pass: what is tested is who decides when."""
    return replace(read_spec("sentiment"), gate=ANY_LOSS)


def train(lake: Lake, run_id: str, c: float, **asked: Any) -> TrainReceipt:
    data_version = int(resolve(lake, "sentiment").descriptor["data_version"])
    return train_model(
        lake, read_generous_spec(), run_id=run_id, now=NOW, data_version=data_version, candidate={"C": c}, **asked
    )


def train_beside(home: Path, run_id: str, c: float, both_judged: Barrier) -> None:
    """Decide only when the other one has judged, too; asked again, it decides at once."""
    times_asked = 0

    def ask(version: str, verdict: Verdict) -> Check:
        nonlocal times_asked
        times_asked += 1
        if times_asked == 1:
            both_judged.wait(timeout=120)
        return Check("approval", is_passed=True, sentence=f"Asked {times_asked} times.")

    train(Lake(home), run_id, c, ask=ask)


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def lake(trained_home: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(trained_home, tmp_path / "home"))


@pytest.mark.path
def test_of_two_candidates_at_once_the_later_is_judged_again_and_none_is_lost(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    both_judged = context.Barrier(2)
    process = context.Process(target=train_beside, args=(lake.home, "first", 0.5, both_judged))
    process.start()
    train_beside(lake.home, "second", 2.0, both_judged)
    process.join(timeout=240)
    assert process.exitcode == 0

    rows = read(
        lake,
        "select version, action, champion_before, champion_after, reasons from ops.promotions "
        "where model = 'sentiment' order by decided_at",
    )
    assert [action for _, action, *_ in rows] == ["promoted"] * 3
    versions = [version for version, *_ in rows]
    assert sorted(versions) == ["1", "2", "3"]
    assert [before for _, _, before, _, _ in rows] == [None, *versions[:2]], "each on the champion of its moment"
    assert ["Asked 1 times." in rows[1][4], "Asked 2 times." in rows[2][4]] == [True, True]
    assert resolve(lake, "sentiment").version == versions[2]
    assert resolve(lake, "sentiment", "previous").version == versions[1]
    assert read(lake, "select count(*) from ops.runs where kind = 'train' and run_id in ('first', 'second')") == [(2,)]


def test_a_person_who_rejects_leaves_the_champion_and_the_reason(lake: Lake) -> None:
    asked: list[tuple[str, bool]] = []

    def ask(version: str, verdict: Verdict) -> Check:
        asked.append((version, verdict.is_promoted))
        return Check("approval", is_passed=False, sentence="Rejected by a person: not before the holidays")

    receipt = train(lake, "rejected", 0.5, ask=ask)
    assert asked == [("2", True)]
    assert not receipt.verdict.is_promoted
    ((action, after, reasons),) = read(
        lake, "select action, champion_after, reasons from ops.promotions where run_id = 'rejected'"
    )
    assert (action, after) == ("refused", "1")
    assert reasons[0] == "Rejected by a person: not before the holidays"
    assert read_verdict_in_mlflow(lake, "2") == "refused"
    with read_lake(lake) as connection:
        assert read_standing(connection, "sentiment").champion == "1"


def test_nobody_is_asked_about_what_the_gate_refuses(lake: Lake) -> None:
    def ask(version: str, verdict: Verdict) -> Check:
        pytest.fail("there is nothing to ask")

    spec = replace(read_generous_spec(), gate=replace(ANY_LOSS, min_macro_f1=1.0))
    data_version = int(resolve(lake, "sentiment").descriptor["data_version"])
    receipt = train_model(
        lake, spec, run_id="refused", now=NOW, data_version=data_version, candidate={"C": 0.5}, ask=ask
    )
    assert [check.name for check in receipt.verdict.checks if not check.is_passed] == ["floor"]
    assert {"latency", "size"} <= {check.name for check in receipt.verdict.checks}


def test_a_first_model_is_judged_by_a_word_list_as_well(trained_home: Path) -> None:
    ((reasons,),) = read(Lake(trained_home), "select reasons from ops.promotions where model = 'spam'")
    assert any("of a word list learned from the same rows" in reason for reason in reasons)


def read_verdict_in_mlflow(lake: Lake, version: str) -> str:
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import; the store is read as its users would

    store = f"sqlite:///{lake.home / 'mlflow' / 'mlflow.db'}"
    run = MlflowClient(store, store).get_run(resolve(lake, "sentiment", version).run_id)
    return str(run.data.tags["verdict"])
