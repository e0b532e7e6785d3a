import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import skops.io

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, run_transaction, write_lake
from training.describe import build_descriptor, check_split, read_matrix, read_recipe
from training.gate import judge
from training.kept_rows import build_kept_rows
from training.model import TRUSTED_TYPES, build_matrix, load_pipeline, score_matrix
from training.promotions import Action, Promotion, append_promotion, read_standing
from training.registry import find_newest, list_versions, mirror_aliases, register_version, resolve
from training.run_record import build_record
from training.spec import ModelSpec
from training.trial import Trial
from training.version import ModelVersion, read_kept_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def register(lake: Lake, trial: Trial, run_id: str = "run-1") -> ModelVersion:
    verdict = judge(trial.rows, trial.probabilities, None, trial.spec.gate)
    descriptor = build_descriptor(trial, run_id=run_id)
    record = build_record(trial, verdict, descriptor, tags={"git_commit": "abc"})
    return register_version(
        lake,
        trial.spec.name,
        pipeline=trial.fitted.pipeline,
        descriptor=descriptor,
        record=record,
        kept_rows=build_kept_rows(trial),
    )


def decide(lake: Lake, version: str, before: str | None, action: Action = "promoted") -> None:
    after = before if action == "refused" else version
    promotion = Promotion(NOW, "sentiment", version, action, before, after, ("because",), "run-1")
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda inside: append_promotion(inside, promotion))


@pytest.fixture(scope="session")
def registered_home(seed_home: Path, tmp_path_factory: pytest.TempPathFactory, trial: Trial) -> Path:
    """A lake with one registered version that nothing was decided on; making MLflow's store takes seconds."""
    home = tmp_path_factory.mktemp("registered") / "home"
    shutil.copytree(seed_home, home)
    register(Lake(home), trial)
    return home


@pytest.fixture
def registered(registered_home: Path, tmp_path: Path) -> Lake:
    home = tmp_path / "registered"
    shutil.copytree(registered_home, home)
    return Lake(home)


def test_a_version_comes_back_as_it_was_registered(registered: Lake, trial: Trial, spec: ModelSpec) -> None:
    found = resolve(registered, "sentiment", "1")

    assert (found.model, found.version, found.aliases) == ("sentiment", "1", ("challenger",))
    assert found.descriptor == json.loads(json.dumps(build_descriptor(trial, run_id="run-1")))
    assert read_matrix(found) == trial.training_set.matrix
    assert read_recipe(found) == trial.recipe
    assert found.path.is_relative_to(registered.home), "a lake that was copied is read where it now lies"

    matrix = build_matrix(trial.training_set.table.take(trial.rows.positions), read_matrix(found))
    assert (score_matrix(load_pipeline(found.path), matrix) == trial.probabilities).all()


def test_the_descriptor_says_what_was_learned_from(trial: Trial, spec: ModelSpec) -> None:
    descriptor = build_descriptor(trial, run_id="run-1")
    training_set = trial.training_set
    instants = training_set.table.column("event_timestamp").to_pylist()
    learned = [at for at, held in zip(instants, training_set.is_held_out, strict=True) if not held]

    assert descriptor["cutoff"] == max(learned).isoformat()
    assert descriptor["digest"] == training_set.digest
    assert descriptor["classes"] == list(spec.classes)
    assert (descriptor["feature_service"], descriptor["service_digest"]) == ("sentiment_v1", "5e" * 32)
    assert descriptor["metrics"]["macro_f1"] == trial.evaluation.overall.values["macro_f1"].value


def test_without_a_champion_the_way_to_one_is_shown(registered: Lake, lake: Lake) -> None:
    for place in (registered, lake):
        with pytest.raises(Unavailable, match="sentiment has no champion yet; run `scorelake train sentiment`"):
            resolve(place, "sentiment")
    assert list_versions(lake, "sentiment") == ()
    assert not (lake.home / "mlflow").exists(), "asking makes no store"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("7", "sentiment.*7.*not found"),
        ("newest", "a version is a number, champion, previous or challenger; found 'newest'"),
        ("1; drop", "a version is a number, champion, previous or challenger; found '1; drop'"),
    ],
)
def test_a_version_that_is_not_there_is_bad_input(registered: Lake, wanted: str, message: str) -> None:
    with pytest.raises(BadData, match=message):
        resolve(registered, "sentiment", wanted)


def test_a_kill_between_ledger_and_aliases_is_put_right(registered: Lake, trial: Trial) -> None:
    decide(registered, "1", None)
    mirror_aliases(registered, "sentiment")
    second = register(registered, trial, run_id="run-2")
    decide(registered, second.version, "1")  # and here the process is killed

    assert resolve(registered, "sentiment").version == "2", "the ledger decides"
    assert {one.version: one.aliases for one in list_versions(registered, "sentiment")} == {
        "2": ("challenger",),
        "1": ("champion",),
    }

    mirror_aliases(registered, "sentiment")  # as the next train, promote or rollback does
    assert {one.version: one.aliases for one in list_versions(registered, "sentiment")} == {
        "2": ("champion",),
        "1": ("previous",),
    }
    assert resolve(registered, "sentiment", "previous").version == "1"


def test_an_alias_set_by_hand_in_mlflow_promotes_nothing(registered: Lake, trial: Trial) -> None:
    decide(registered, "1", None)
    register(registered, trial, run_id="run-2")
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import; the hand of a user

    store = f"sqlite:///{registered.home / 'mlflow' / 'mlflow.db'}"
    MlflowClient(store, store).set_registered_model_alias("sentiment", "champion", "2")

    assert resolve(registered, "sentiment").version == "1"
    mirror_aliases(registered, "sentiment")
    assert resolve(registered, "sentiment", "1").aliases == ("champion",)


def test_a_file_that_was_altered_is_refused(registered: Lake, trial: Trial) -> None:
    path = resolve(registered, "sentiment", "1").path
    skops.io.dump(trial.spec.build_pipeline(), path)
    with pytest.raises(BadData, match=r"is not the one that was registered: expected SHA-256 \w{64}, found \w{64}"):
        resolve(registered, "sentiment", "1")

    path.unlink()
    with pytest.raises(BadData, match="found no file"):
        resolve(registered, "sentiment", "1")

    shutil.rmtree(path.parent)
    with pytest.raises(BadData, match="sentiment version 1 has lost its files"):
        resolve(registered, "sentiment", "1")


@pytest.mark.parametrize("name", ["descriptor.json", "spine.parquet"])
def test_what_lies_beside_the_model_is_covered_by_a_digest_too(registered: Lake, name: str) -> None:
    file = resolve(registered, "sentiment", "1").path.with_name(name)
    content = file.read_bytes()
    file.write_bytes(content.replace(b"negative", b"positive") if name.endswith(".json") else content + b"x")
    assert file.read_bytes() != content
    with pytest.raises(BadData, match=rf"{name} is not the one that was registered: .*roll back to another version"):
        resolve(registered, "sentiment", "1")
    file.write_bytes(content)
    assert resolve(registered, "sentiment", "1").version == "1"


def test_a_version_registered_without_those_digests_is_still_found(registered: Lake) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import; as an earlier release left it

    store = f"sqlite:///{registered.home / 'mlflow' / 'mlflow.db'}"
    for tag in ("descriptor_sha256", "spine_sha256", "inputs_sha256"):
        MlflowClient(store, store).delete_model_version_tag("sentiment", "1", tag)
    resolve(registered, "sentiment", "1").path.with_name("spine.parquet").unlink()
    found = resolve(registered, "sentiment", "1")
    assert read_kept_rows(found) is None


def test_the_newest_version_of_the_same_inputs_is_found(registered: Lake, trial: Trial) -> None:
    inputs = resolve(registered, "sentiment", "1").descriptor["inputs"]
    second = register(registered, trial, run_id="run-2")
    for found in (find_newest(registered, "sentiment"), find_newest(registered, "sentiment", inputs)):
        assert found is not None
        assert found.version == second.version == "2"
    assert find_newest(registered, "sentiment", inputs | {"code": "another"}) is None
    assert find_newest(registered, "spam") is None


def test_a_version_keeps_the_rows_of_its_training_set(registered: Lake, trial: Trial) -> None:
    kept = read_kept_rows(resolve(registered, "sentiment", "1"))
    assert kept is not None
    assert kept.equals(build_kept_rows(trial))


def test_no_type_beyond_those_that_skops_knows_is_trusted(registered: Lake) -> None:
    path = resolve(registered, "sentiment", "1").path
    assert TRUSTED_TYPES == ()
    assert skops.io.get_untrusted_types(file=path) == []


def test_a_lake_that_moved_trains_on_in_its_new_place(registered: Lake, registered_home: Path, trial: Trial) -> None:
    before = sorted(registered_home.rglob("*"))
    second = register(registered, trial, run_id="run-2")

    assert second.version == "2"
    assert second.path.is_relative_to(registered.home)
    assert sorted(registered_home.rglob("*")) == before, "nothing is written where the lake was"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"held_out_salt": "another"}, "held_out_salt was 'held out for ever', is 'another'"),
        ({"held_out_share": 0.3}, "held_out_share was 0.2, is 0.3"),
        ({"classes": ("bad", "good")}, "classes was"),
    ],
)
def test_a_version_of_another_split_is_not_judged(
    registered: Lake, spec: ModelSpec, change: dict[str, Any], message: str
) -> None:
    found = resolve(registered, "sentiment", "1")
    check_split(spec, found)
    with pytest.raises(BadData, match=f"it may have learned from them: {message}"):
        check_split(replace(spec, **change), found)


def test_a_decision_on_a_champion_that_is_gone_is_not_written(lake: Lake) -> None:
    """Two candidates at once: the second was judged against a champion that is none any more."""
    decide(lake, "1", None)
    with pytest.raises(Unavailable, match="champion of sentiment was none when version 2 was judged, and is 1 now"):
        decide(lake, "2", None)
    with write_lake(lake, purpose="test") as connection:
        assert read_standing(connection, "sentiment").champion == "1"
        assert connection.execute("select count(*) from ops.promotions").fetchone() == (1,)


def test_a_clock_that_goes_back_does_not_change_who_is_champion(lake: Lake) -> None:
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        decide(lake, version, before)  # all three at the same instant
    decide(lake, "4", "3", action="refused")

    with write_lake(lake, purpose="test") as connection:
        standing = read_standing(connection, "sentiment")
        assert (standing.champion, standing.previous) == ("3", "2")
        instants = connection.execute("select decided_at from ops.promotions order by version").fetchall()
    assert instants == sorted(set(instants))


_REGISTER_ALONE = """
import os, sys
from pathlib import Path

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        sys.stderr.write(f"CONNECTS {event} {arguments}")
        os._exit(7)

sys.addaudithook(watch)
os.environ.pop("MLFLOW_DISABLE_TELEMETRY", None)
os.environ.pop("CI", None), os.environ.pop("PYTEST_CURRENT_TEST", None)
from feature_repo.lake import Lake
from training.model import build_pipeline
from training.registry import register_version, list_versions
from training.run_record import RunRecord
import numpy as np, scipy.sparse as sparse

pipeline = build_pipeline().fit(sparse.csr_matrix(np.eye(4)), [0, 1, 0, 1])
descriptor = {
    "model": "spam", "run_id": "r", "matrix": {"token_columns": ["t"], "token_dimension": 4, "numeric": []},
    "feature_service": "s",
    "data_version": 1, "as_of": "2026-01-01", "digest": "d" * 64,
}
record = RunRecord(params={}, metrics={}, tags={}, texts={}, figures={})
lake = Lake(Path(sys.argv[1]))
assert register_version(lake, "spam", pipeline=pipeline, descriptor=descriptor, record=record).version == "1"
assert "MLFLOW_DISABLE_TELEMETRY" not in os.environ
"""


def test_the_registry_asks_no_server_prints_nothing_and_leaves_nothing_beside(tmp_path: Path) -> None:
    here = tmp_path / "elsewhere"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _REGISTER_ALONE, str(tmp_path / "home")],
        cwd=here,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []


def test_importing_the_registry_imports_no_mlflow() -> None:
    code = "import sys, training.registry, training.train; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
