"""What a training run leaves in MLflow: figures and texts for people, and the files that a version is made of.

Beside `registry`, which opens the store and finds versions again, the only module that knows MLflow. What is logged
is made in `run_record`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as read_package_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.model import MatrixSpec

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, LoggedModel, Run
    from mlflow.models import Model
    from scipy import sparse
    from sklearn.pipeline import Pipeline

    from training.run_record import RunRecord

MODEL_FILE: Final = "model.skops"
DESCRIPTOR_FILE: Final = "descriptor.json"
ROWS_FILE: Final = "spine.parquet"
_REQUIREMENTS: Final = ("scikit-learn", "skops", "numpy", "scipy")
_EXAMPLE: Final = {"artifact_path": "input_example.json", "type": "sparse_matrix_csr"}
_FORBIDDEN: Final = re.compile(r"[^\w\-. :/]")  # in the name of a metric
_TYPES: Final = {"Int32": "integer", "Int64": "long", "Float32": "float", "Float64": "double", "Bool": "boolean"}


@dataclass(frozen=True, slots=True)
class LoggedPipeline:
    """Id and location of a logged model, and the SHA-256 of its files by name."""

    model_id: str
    location: str
    digests: Mapping[str, str]


def log_record(client: "MlflowClient", run: "Run", record: "RunRecord", *, model_id: str, dataset: "Dataset") -> None:
    """Log settings, figures, tags, texts, tables and pictures of a run.

    Figures on all rows are those of the logged model and the dataset, too, so that MLflow finds models by them.
    """
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - seconds to import

    run_id, at = run.info.run_id, run.info.start_time
    # Files first: for each, MLflow reads the run with all its figures.
    for path, text in record.texts.items():
        client.log_text(run_id, text, path)
    for path, table in record.tables.items():
        client.log_table(run_id, {name: list(column) for name, column in table.items()}, path)
    for path, figure in record.figures.items():
        client.log_figure(run_id, figure, path)
    of_model = {"model_id": model_id, "dataset_name": dataset.name, "dataset_digest": dataset.digest}
    single = (
        Metric(_FORBIDDEN.sub("", name), value, at, 0, run_id=run_id, **({} if "/" in name else of_model))
        for name, value in record.metrics.items()
    )
    stepped = (Metric(name, value, at, step) for name, pairs in record.series.items() for step, value in pairs)
    tags = {**record.tags, **_build_own_tags(record)}
    client.log_batch(
        run_id,
        metrics=[*single, *stepped],
        params=[Param(name, value) for name, value in record.params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def log_dataset(
    client: "MlflowClient", run_id: str, descriptor: Mapping[str, Any], profile: Mapping[str, Any]
) -> "Dataset":
    """Log which data a run learned from and was judged on; the data stay in the lake."""
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - seconds to import

    dataset = Dataset(
        name=f"{descriptor['model']} labels at data version {descriptor['data_version']}",
        digest=descriptor["digest"][:32],  # MLflow takes 36 characters at most
        source_type="scorelake",
        source=json.dumps({name: descriptor[name] for name in ("feature_service", "data_version", "as_of", "digest")}),
        schema=json.dumps({"mlflow_colspec": _list_columns(descriptor)}),
        profile=json.dumps(profile),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    return dataset


def log_pipeline(
    client: "MlflowClient",
    run: "Run",
    pipeline: "Pipeline",
    descriptor: Mapping[str, Any],
    *,
    example: "sparse.csr_matrix | None" = None,
    kept_rows: "pa.Table | None" = None,
) -> LoggedPipeline:
    """Save a pipeline with its descriptor and, if there are any, the rows it keeps of its training set.

    Parameters
    ----------
    example
        Rows that show how its input looks.
    """
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 - seconds to import

    logged = client.create_logged_model(
        run.info.experiment_id,
        name=descriptor["model"],
        source_run_id=run.info.run_id,
        params={name: str(value) for name, value in descriptor.get("settings", {}).items()},
        model_type="classifier",
    )
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        _save_model(folder, pipeline, descriptor, _build_model(logged, run, has_example=example is not None))
        _write_companions(folder, descriptor, example, kept_rows)
        digests = {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (MODEL_FILE, DESCRIPTOR_FILE, ROWS_FILE)
            if (folder / name).exists()
        }
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(run.info.run_id, models=[LoggedModelOutput(logged.model_id, step=0)])
    client.finalize_logged_model(logged.model_id, "READY")
    return LoggedPipeline(logged.model_id, logged.artifact_location, digests)


def _save_model(folder: Path, pipeline: "Pipeline", descriptor: Mapping[str, Any], model: "Model") -> None:
    import mlflow.sklearn  # noqa: PLC0415 - seconds to import

    # The requirements are named, because inferring them starts a process that loads the model again.
    mlflow.sklearn.save_model(
        pipeline,
        str(folder),
        serialization_format="skops",
        mlflow_model=model,
        signature=_build_signature(descriptor),
        pyfunc_predict_fn="predict_proba",
        metadata={name: descriptor.get(name) for name in ("classes", "feature_service", "data_version", "digest")},
        pip_requirements=[f"{name}=={read_package_version(name)}" for name in _REQUIREMENTS],
    )


def _write_companions(
    folder: Path, descriptor: Mapping[str, Any], example: "sparse.csr_matrix | None", kept_rows: "pa.Table | None"
) -> None:
    """Write what lies beside a model: its descriptor, rows that show its input, rows it was made of."""
    from pyarrow import parquet  # noqa: PLC0415 - with MLflow only

    (folder / DESCRIPTOR_FILE).write_text(json.dumps(descriptor, indent=2, sort_keys=True), encoding="utf-8")
    if example is not None:
        _write_example(folder / _EXAMPLE["artifact_path"], example)
    if kept_rows is not None:
        parquet.write_table(kept_rows, folder / ROWS_FILE, compression="zstd")


def _build_model(logged: "LoggedModel", run: "Run", *, has_example: bool) -> "Model":
    from mlflow.models import Model  # noqa: PLC0415 - with MLflow only

    return Model(
        model_id=logged.model_id, run_id=run.info.run_id, saved_input_example_info=_EXAMPLE if has_example else None
    )


def _write_example(path: Path, rows: "sparse.csr_matrix") -> None:
    """Write rows as MLflow reads them again; its own way keeps them as dense JSON too, 12 MB a row."""
    parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr, "shape": np.asarray(rows.shape)}
    path.write_text(json.dumps({name: part.tolist() for name, part in parts.items()}), encoding="utf-8")


def _build_signature(descriptor: Mapping[str, Any]) -> Any:
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    columns = MatrixSpec.from_json(descriptor["matrix"]).columns
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, columns))]),
        outputs=Schema([TensorSpec(np.dtype("float64"), (-1, len(descriptor.get("classes", ())) or -1))]),
    )


def _list_columns(descriptor: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The features of the service in the words of MLflow's schemas."""
    views = descriptor.get("service_definition", {}).get("views", [])
    return [
        {"name": one["name"], **_name_type(one["type"]), "required": False}
        for view in views
        for one in view["features"]
    ]


def _name_type(feast: str) -> dict[str, Any]:
    if feast.startswith("Array("):
        return {"type": "array", "items": _name_type(feast.removeprefix("Array(").removesuffix(")"))}
    return {"type": _TYPES.get(feast, "string")}


def _build_own_tags(record: "RunRecord") -> dict[str, str]:
    """Tags that MLflow's pages show in places of their own."""
    return {
        "mlflow.note.content": record.summary,
        "mlflow.source.name": "scorelake train",
        "mlflow.source.git.commit": record.tags.get("git_commit", "unknown"),
    }
