"""A training run of a real lake, read back as MLflow's users would: everything that a run is to log is there."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from feature_repo.lake import Lake
from training.behaviour import build_text_matrix, read_behaviours
from training.describe import read_matrix
from training.model import load_pipeline, score_matrix
from training.registry import resolve
from training.spec import read_spec
from training.version import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MODEL = "sentiment"


@pytest.fixture(scope="module")
def version(trained_home: Path) -> ModelVersion:
    return resolve(Lake(trained_home), MODEL)


@pytest.fixture(scope="module")
def client(trained_home: Path) -> "MlflowClient":
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import

    store = f"sqlite:///{trained_home / 'mlflow' / 'mlflow.db'}"
    return MlflowClient(store, store)


@pytest.fixture(scope="module")
def run(client: "MlflowClient", version: ModelVersion) -> "Run":
    return client.get_run(version.run_id)


def list_files(client: "MlflowClient", run: "Run", folder: str | None = None) -> set[str]:
    found = client.list_artifacts(run.info.run_id, folder)
    return {name for one in found for name in (list_files(client, run, one.path) if one.is_dir else {one.path})}


def test_parameters_and_circumstances(run: "Run", version: ModelVersion) -> None:
    params, tags = run.data.params, run.data.tags
    assert params["data_version"] == str(version.descriptor["data_version"])
    assert params["feature_service"] == "sentiment_v1"
    assert params["chosen_classes__estimator__C"] == str(version.descriptor["settings"]["classes__estimator__C"])
    assert params["split_held_out_share"] == "0.2"
    assert tags["data_digest"] == version.descriptor["digest"]
    assert tags["service_digest"] == version.descriptor["service_digest"]
    assert tags["verdict"] == "promoted"
    assert len(tags["lock_sha256"]) == 64
    assert tags["mlflow.source.git.commit"] == tags["git_commit"]
    assert tags["git_dirty"] in {"true", "false", "unknown"}
    assert "On comments it has not seen, its accuracy is" in tags["mlflow.note.content"]
    assert run.info.status == "FINISHED"


def test_figures_with_intervals_costs_and_slices(run: "Run", version: ModelVersion) -> None:
    metrics = run.data.metrics
    assert {name: metrics[name] for name in version.descriptor["metrics"]} == version.descriptor["metrics"]
    for name in ("macro_f1", "accuracy", "ece", "slices/short text/macro_f1", "decided/accuracy", "baseline/accuracy"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"], name
    assert metrics["slices/short text/rows"] > 0
    for group in ("beginnings of words", "valences", "numbers of the comment", "numbers of channel and video"):
        assert metrics[f"ablation/{group}_low"] <= metrics[f"ablation/{group}_high"], group
    assert metrics["seconds/fit"] > 0
    assert metrics["peak_memory_mib"] > 10
    asked = {f"behaviour/{one.name}" for one in read_behaviours(MODEL, read_spec(MODEL).classes)}
    assert asked <= metrics.keys()
    assert all(0 <= metrics[name] <= 1 for name in asked)


def test_curves_along_their_steps(client: "MlflowClient", run: "Run") -> None:
    learned = client.get_metric_history(run.info.run_id, "learning/macro_f1")
    assert max(learned, key=lambda one: one.step).value == run.data.metrics["macro_f1"]
    shares = {one.step: one.value for one in client.get_metric_history(run.info.run_id, "coverage/share")}
    assert shares[0] == 1
    assert shares[95] < shares[50]


def test_the_dataset_with_its_profile(run: "Run", version: ModelVersion) -> None:
    assert run.inputs is not None
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.digest == version.descriptor["digest"][:32]
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
    profile = json.loads(given.dataset.profile or "")
    assert profile["rows"] == version.descriptor["rows"] == sum(profile["labels"].values())
    assert 0 < profile["rows_held_out"] < profile["rows"]

    from mlflow.types import Schema  # noqa: PLC0415 - with MLflow only

    columns = json.loads(given.dataset.schema or "")["mlflow_colspec"]
    names = Schema.from_json(json.dumps(columns)).input_names()
    views = version.descriptor["service_definition"]["views"]
    assert names == [feature["name"] for view in views for feature in view["features"]]


def test_card_verdict_pictures_and_tables(client: "MlflowClient", run: "Run", trained_home: Path) -> None:
    plots = {"confusion", "reliability", "coverage", "slices", "behaviour", "learning", "ablation"}
    tables = {"slices", "classes", "coverage", "learning", "behaviour", "ablation"}
    files = list_files(client, run)
    assert {"card.md", "verdict.md", "evaluation.json", "feature_service.json"} <= files
    assert {f"plots/{name}.png" for name in plots} <= files
    assert {f"tables/{name}.json" for name in tables} <= files

    (card,) = trained_home.glob(f"mlflow/artifacts/{run.info.run_id}/artifacts/card.md")
    text = card.read_text(encoding="utf-8")
    assert text.startswith("# sentiment\n")
    assert "| label sources | sample" in text
    shown = {line.split("(plots/")[1].split(".png")[0] for line in text.split("![") if "(plots/" in line}
    assert shown == plots, "the card shows every picture, and none that is not there"
    assert all((card.parent / f"plots/{name}.png").read_bytes()[:4] == b"\x89PNG" for name in plots)
    assert json.loads((card.parent / "evaluation.json").read_text(encoding="utf-8"))["overall"]["rows"] > 0
    assert (card.parent / "verdict.md").read_text(encoding="utf-8").startswith("- ")


def test_mlflow_knows_the_tables_as_tables(client: "MlflowClient", run: "Run", tmp_path: Path) -> None:
    known = {one["path"]: one["type"] for one in json.loads(run.data.tags["mlflow.loggedArtifacts"])}
    assert known["tables/slices.json"] == known["tables/behaviour.json"] == "table"

    def read_table(name: str) -> pd.DataFrame:
        path = client.download_artifacts(run.info.run_id, f"tables/{name}.json", str(tmp_path))
        return pd.DataFrame(**json.loads(Path(path).read_text(encoding="utf-8")))

    slices = read_table("slices").set_index("slice")
    assert slices.loc["short text", "macro_f1"] == pytest.approx(run.data.metrics["slices/short text/macro_f1"])
    behaviour = read_table("behaviour")
    shares = (behaviour["passed"] / behaviour["cases"]).tolist()
    assert shares == [run.data.metrics[f"behaviour/{name}"] for name in behaviour["check"]]


def test_the_logged_model_is_found_by_its_figures(client: "MlflowClient", run: "Run", version: ModelVersion) -> None:
    value = run.data.metrics["macro_f1"]
    (found,) = client.search_logged_models(
        [run.info.experiment_id],
        filter_string=f"metrics.macro_f1 > {value - 0.001} and metrics.macro_f1 < {value + 0.001}",
    )
    assert found.source_run_id == run.info.run_id
    assert found.params["classes__estimator__C"] == str(version.descriptor["settings"]["classes__estimator__C"])
    assert run.outputs is not None
    assert [one.model_id for one in run.outputs.model_outputs] == [found.model_id]
    assert {one.dataset_digest for one in found.metrics or ()} == {version.descriptor["digest"][:32]}
    assert str(found.status) == "READY"

    registered = client.get_model_version(MODEL, version.version)
    assert (registered.description or "").startswith("On comments it has not seen")
    assert str(client.get_model_version_by_alias(MODEL, "champion").version) == version.version


def test_the_model_runs_no_code_and_says_how_it_is_called(version: ModelVersion) -> None:
    folder = version.path.parent
    assert {path.suffix for path in folder.iterdir()}.isdisjoint({".pkl", ".pickle", ".joblib"})
    assert max(path.stat().st_size for path in folder.iterdir()) == version.path.stat().st_size

    from mlflow.models import Model  # noqa: PLC0415 - with MLflow only

    model = Model.load(folder)
    example: Any = model.load_input_example(str(folder))
    asked = [one.cases[0][0] for one in read_behaviours(MODEL, read_spec(MODEL).classes)][:3]
    assert model.signature is not None
    assert model.signature.inputs.inputs[0].shape == (-1, example.shape[1])
    assert model.metadata is not None
    assert model.metadata["classes"] == ["negative", "neutral", "positive"]

    ours = build_text_matrix(asked, read_matrix(version))
    assert abs(example - ours).max() == 0, "texts of ours, never of people"


def test_mlflow_itself_gives_our_probabilities(version: ModelVersion) -> None:
    import mlflow.pyfunc  # noqa: PLC0415 - seconds to import
    from mlflow.models import Model  # noqa: PLC0415

    folder = version.path.parent
    example = Model.load(folder).load_input_example(str(folder))
    said = np.asarray(mlflow.pyfunc.load_model(str(folder)).predict(example))
    assert said == pytest.approx(score_matrix(load_pipeline(version.path), example))
