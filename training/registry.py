"""The registry of model versions: what a training run leaves in MLflow, and how a version is found again.

The only module that knows MLflow. It works through clients bound to one store, never through MLflow's global
tracking URI or active run: so nothing is written to `./mlruns`, no server is asked, and two lakes in one process
do not mix. Which version *is* champion is read from the ledger (`promotions`); MLflow's aliases mirror it, for
those who look there.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as read_package_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import read_lake
from training.promotions import read_standing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as RegisteredVersion
    from sklearn.pipeline import Pipeline

    from feature_repo.lake import Lake
    from training.describe import RunRecord

_MODEL_FILE: Final = "model.skops"
_DESCRIPTOR_FILE: Final = "descriptor.json"
_HASH_TAG: Final = "model_sha256"
_REQUIREMENTS: Final = ("scikit-learn", "skops", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version: the file of its pipeline, and all that scoring needs to know about it.

    Parameters
    ----------
    model, version
        Name, and number as text.
    run_id
        The MLflow run that made it.
    path
        The skops file, below the lake's home; `model.load_pipeline` reads it.
    descriptor
        What `describe.build_descriptor` wrote: classes, matrix, feature service, data version, metrics, …
    aliases
        Among champion, challenger and previous, as MLflow has them.
    """

    model: str
    version: str
    run_id: str
    path: Path
    descriptor: Mapping[str, Any]
    aliases: tuple[str, ...] = ()


def register_version(
    lake: "Lake", model: str, *, pipeline: "Pipeline", descriptor: Mapping[str, Any], record: "RunRecord"
) -> ModelVersion:
    """Log a run and register its pipeline as the newest version of a model, under the alias challenger.

    The version is made last: a kill before leaves a run without a version, to which nothing refers.
    """
    with _open_client(lake) as client:
        run = client.create_run(_find_experiment(client, lake, model), run_name=descriptor["run_id"])
        _log_record(client, run.info.run_id, record)
        _log_dataset(client, run.info.run_id, descriptor)
        model_id, location, digest = _log_pipeline(client, run, pipeline, descriptor)
        if not client.search_registered_models(f"name = '{model}'"):
            client.create_registered_model(model)
        created = client.create_model_version(
            model, location, run.info.run_id, tags={_HASH_TAG: digest}, model_id=model_id
        )
        client.set_registered_model_alias(model, "challenger", str(created.version))
        client.set_terminated(run.info.run_id)
        return _read_version(lake, client.get_model_version(model, str(created.version)))


def resolve(lake: "Lake", model: str, wanted: str = "champion") -> ModelVersion:
    """Find a version by number or alias. Runs do this once, and go on with the number.

    Parameters
    ----------
    wanted
        A version number, "champion" or "previous" (as the ledger has them), or "challenger" (the newest version
        that was not promoted).

    Raises
    ------
    Unavailable
        If the model has no champion, or none before it, yet.
    BadData
        If there is no such version, or its file is not the one that was registered.
    """
    number = _read_number(lake, model, wanted)
    if number is None or not _locate_store(lake).exists():
        raise Unavailable(f"{model} has no {wanted} yet; run `scorelake train {model}`")
    with _open_client(lake) as client:
        find = client.get_model_version_by_alias if number == "challenger" else client.get_model_version
        registered = find(model, number)
        found = _read_version(lake, registered)
    _check_file(found.path, registered.tags.get(_HASH_TAG))
    return found


def list_versions(lake: "Lake", model: str) -> tuple[ModelVersion, ...]:
    """All versions of a model, the newest first; none if it was never trained."""
    if not _locate_store(lake).exists():
        return ()
    with _open_client(lake) as client:
        found = client.search_model_versions(f"name = '{model}'", max_results=10_000)
        # A search leaves out the aliases.
        versions = [_read_version(lake, client.get_model_version(model, str(one.version))) for one in found]
    return tuple(sorted(versions, key=lambda one: int(one.version), reverse=True))


def mirror_aliases(lake: "Lake", model: str) -> None:
    """Set MLflow's aliases to what the ledger says; safe to repeat, and whatever a kill left is put right."""
    with read_lake(lake) as connection:
        standing = read_standing(connection, model)
    with _open_client(lake) as client:
        there = {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()}
        for alias, version in {"champion": standing.champion, "previous": standing.previous}.items():
            if version is not None and there.get(alias) != version:
                client.set_registered_model_alias(model, alias, version)
        if standing.champion is not None and there.get("challenger") == standing.champion:
            client.delete_registered_model_alias(model, "challenger")


def _read_number(lake: "Lake", model: str, wanted: str) -> str | None:
    if wanted.isdecimal() or wanted == "challenger":
        return wanted
    if wanted not in {"champion", "previous"}:
        raise BadData(f"a version is a number, champion, previous or challenger; found {wanted!r}")
    with read_lake(lake) as connection:
        standing = read_standing(connection, model)
    return standing.champion if wanted == "champion" else standing.previous


def _locate_store(lake: "Lake") -> Path:
    return lake.home / "mlflow" / "mlflow.db"


def _locate_artifacts(lake: "Lake") -> Path:
    return lake.home / "mlflow" / "artifacts"


@contextmanager
def _open_client(lake: "Lake") -> Iterator["MlflowClient"]:
    """Open MLflow on the lake's own store, made on first use (two seconds), with its errors translated."""
    with _silence_telemetry():
        # Seconds to import, hence only here.
        from mlflow import MlflowClient  # noqa: PLC0415
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
        from mlflow.telemetry import set_telemetry_client  # noqa: PLC0415

        set_telemetry_client()  # type: ignore[no-untyped-call]  # in case someone else imported MLflow before, with telemetry on
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns that an environment without pip has no pip
    _locate_artifacts(lake).mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{_locate_store(lake)}"
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            client = MlflowClient(tracking_uri=store, registry_uri=store)
        yield client
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise BadData(f"MLflow at {lake.home / 'mlflow'}: {error.message}") from error
        raise Unavailable(f"MLflow at {lake.home / 'mlflow'} is busy or broken: {error.message}") from error


@contextmanager
def _silence_telemetry() -> Iterator[None]:
    """Have MLflow see telemetry switched off while it is imported, and leave the environment as it was."""
    name = "MLFLOW_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _find_experiment(client: "MlflowClient", lake: "Lake", model: str) -> str:
    location = str(_locate_artifacts(lake))
    # An experiment keeps its absolute location for ever; a lake that has moved gets a new one.
    for name in (model, f"{model} at {lake.home}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            return str(client.create_experiment(name, artifact_location=location))
        if found.artifact_location == location:
            return str(found.experiment_id)
    raise Unavailable(f"MLflow's experiments of {model} all write outside of {location}; restore the lake where it was")


def _log_record(client: "MlflowClient", run_id: str, record: "RunRecord") -> None:
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - seconds to import

    client.log_batch(
        run_id,
        metrics=[Metric(name, value, timestamp=0, step=0) for name, value in record.metrics.items()],
        params=[Param(name, value) for name, value in record.params.items()],
        tags=[RunTag(name, value) for name, value in record.tags.items()],
    )
    for path, text in record.texts.items():
        client.log_text(run_id, text, path)
    for path, figure in record.figures.items():
        client.log_figure(run_id, figure, path)


def _log_dataset(client: "MlflowClient", run_id: str, descriptor: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - seconds to import

    dataset = Dataset(
        name=f"{descriptor['model']} labels at data version {descriptor['data_version']}",
        digest=descriptor["digest"][:32],  # MLflow takes 36 characters at most
        source_type="scorelake",
        source=json.dumps({name: descriptor[name] for name in ("feature_service", "data_version", "as_of", "digest")}),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _log_pipeline(
    client: "MlflowClient", run: "Run", pipeline: "Pipeline", descriptor: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Save pipeline and descriptor; returns the logged model's id, its location and the file's SHA-256."""
    import mlflow.sklearn  # noqa: PLC0415 - seconds to import
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415

    logged = client.create_logged_model(
        run.info.experiment_id, name=descriptor["model"], source_run_id=run.info.run_id, model_type="classifier"
    )
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        # The requirements are named, because inferring them starts a process that loads the model again.
        mlflow.sklearn.save_model(
            pipeline,
            str(folder),
            serialization_format="skops",
            signature=_build_signature(descriptor),
            pip_requirements=[f"{name}=={read_package_version(name)}" for name in _REQUIREMENTS],
        )
        digest = hashlib.sha256((folder / _MODEL_FILE).read_bytes()).hexdigest()
        (folder / _DESCRIPTOR_FILE).write_text(json.dumps(descriptor, indent=2, sort_keys=True), encoding="utf-8")
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(run.info.run_id, models=[LoggedModelOutput(logged.model_id, step=0)])
    client.finalize_logged_model(logged.model_id, "READY")
    return logged.model_id, logged.artifact_location, digest


def _build_signature(descriptor: Mapping[str, Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - with MLflow only
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    columns = descriptor["matrix"]["token_dimension"] + len(descriptor["matrix"]["numeric"])
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, columns))]),
        outputs=Schema([TensorSpec(np.dtype("int64"), (-1,))]),
    )


def _read_version(lake: "Lake", found: "RegisteredVersion") -> ModelVersion:
    # MLflow keeps absolute paths; a lake that was moved or restored is read where it now lies.
    folder = _locate_artifacts(lake) / str(found.source).rpartition("/mlflow/artifacts/")[2]
    try:
        descriptor = json.loads((folder / _DESCRIPTOR_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"{found.name} version {found.version} has lost its files at {folder}: {error}") from error
    return ModelVersion(
        model=found.name,
        version=str(found.version),
        run_id=str(found.run_id),
        path=folder / _MODEL_FILE,
        descriptor=descriptor,
        aliases=tuple(sorted(found.aliases)),
    )


def _check_file(path: Path, expected: str | None) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
    if found != expected:
        raise BadData(
            f"the model file {path} is not the one that was registered: expected SHA-256 {expected}, found {found}. "
            "Restore it from a backup, or roll back to another version."
        )
