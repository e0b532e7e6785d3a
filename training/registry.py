"""The registry of model versions: how a version is registered, and how it is found again.

With `run_log`, which says what is logged, the only module that knows MLflow. It works through clients bound to one
store, never through MLflow's global tracking URI or active run: so nothing is written to `./mlruns`, no server is
asked, and two lakes in one process do not mix. Which version *is* champion is read from the ledger (`promotions`);
MLflow's aliases mirror it, for those who look there.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_repo.databases import build_url
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import read_lake
from training.digest import digest_json
from training.promotions import read_standing
from training.run_log import DESCRIPTOR_FILE, ROWS_FILE, log_dataset, log_pipeline, log_record
from training.version import HASH_TAGS, ModelVersion, check_files

if TYPE_CHECKING:
    import pyarrow as pa
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as RegisteredVersion
    from sklearn.pipeline import Pipeline

    from feature_repo.lake import Lake
    from training.run_record import RunRecord

_INPUTS_TAG: Final = "inputs_sha256"


def register_version(
    lake: "Lake",
    model: str,
    *,
    pipeline: "Pipeline",
    descriptor: Mapping[str, Any],
    record: "RunRecord",
    kept_rows: "pa.Table | None" = None,
) -> ModelVersion:
    """Log a run and register its pipeline as the newest version of a model, under the alias challenger.

    The version is made last: a kill before leaves a run without a version, to which nothing refers.
    """
    with _open_client(lake) as client:
        run = client.create_run(_find_experiment(client, lake, model), run_name=descriptor["run_id"])
        dataset = log_dataset(client, run.info.run_id, descriptor, record.profile)
        logged = log_pipeline(client, run, pipeline, descriptor, example=record.example, kept_rows=kept_rows)
        log_record(client, run, record, model_id=logged.model_id, dataset=dataset)
        if not client.search_registered_models(f"name = '{model}'"):
            client.create_registered_model(model)
        tags = {HASH_TAGS[name]: digest for name, digest in logged.digests.items()}
        tags[_INPUTS_TAG] = digest_json(descriptor.get("inputs"))
        created = client.create_model_version(
            model, logged.location, run.info.run_id, tags, description=record.summary, model_id=logged.model_id
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
    if number is None or not has_store(lake):
        raise Unavailable(f"{model} has no {wanted} yet; run `scorelake train {model}`")
    with _open_client(lake) as client:
        find = client.get_model_version_by_alias if number == "challenger" else client.get_model_version
        registered = find(model, number)
        found = _read_version(lake, registered)
    check_files(found, registered.tags)
    return found


def list_versions(lake: "Lake", model: str) -> tuple[ModelVersion, ...]:
    """All versions of a model, the newest first; none if it was never trained."""
    if not has_store(lake):
        return ()
    with _open_client(lake) as client:
        found = client.search_model_versions(f"name = '{model}'", max_results=10_000)
        # A search leaves out the aliases.
        versions = [_read_version(lake, client.get_model_version(model, str(one.version))) for one in found]
    return tuple(sorted(versions, key=lambda one: int(one.version), reverse=True))


def replace_kept_rows(lake: "Lake", version: ModelVersion, rows: "pa.Table") -> None:
    """Put others in place of the rows that a version keeps; safe to repeat.

    Their digest is registered first: after a kill in between, the version is refused until this was done again.
    """
    from pyarrow import BufferOutputStream, parquet  # noqa: PLC0415 - scoring resolves versions and writes no rows

    written = BufferOutputStream()
    parquet.write_table(rows, written, compression="zstd")
    content = written.getvalue().to_pybytes()
    digest = hashlib.sha256(content).hexdigest()
    with _open_client(lake) as client:
        client.set_model_version_tag(version.model, version.version, HASH_TAGS[ROWS_FILE], digest)
    version.storage.write(version.locate(ROWS_FILE), content)


def find_newest(lake: "Lake", model: str, inputs: Mapping[str, str] | None = None) -> ModelVersion | None:
    """The newest version of a model, or of those fitted from the same inputs; None if there is none."""
    if not has_store(lake):
        return None
    wanted = f"name = '{model}'" + (f" and tags.{_INPUTS_TAG} = '{digest_json(inputs)}'" if inputs else "")
    with _open_client(lake) as client:
        found = client.search_model_versions(wanted, max_results=1, order_by=["version_number DESC"])
    return resolve(lake, model, str(found[0].version)) if found else None


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


def mirror_verdict(lake: "Lake", version: ModelVersion, action: str, reasons: Sequence[str]) -> None:
    """Set what MLflow says of a version's verdict to what the ledger says; safe to repeat."""
    with _open_client(lake) as client:
        client.set_tag(version.run_id, "verdict", action)
        folder = _relocate(lake, client.get_run(version.run_id).info.artifact_uri)
    lake.storage.write(f"{folder}/verdict.md", "".join(f"- {reason}\n" for reason in reasons).encode())


def _read_number(lake: "Lake", model: str, wanted: str) -> str | None:
    if wanted.isdecimal() or wanted == "challenger":
        return wanted
    if wanted not in {"champion", "previous"}:
        raise BadData(f"a version is a number, champion, previous or challenger; found {wanted!r}")
    with read_lake(lake) as connection:
        standing = read_standing(connection, model)
    return standing.champion if wanted == "champion" else standing.previous


def name_store(lake: "Lake") -> str:
    """The database in which MLflow keeps runs and versions of this lake, as SQLAlchemy wants it, password included."""
    if lake.mlflow_address is not None:
        return build_url(lake.mlflow_address, "psycopg")
    return f"sqlite:///{_locate_file(lake)}"


def has_store(lake: "Lake") -> bool:
    """Whether there may be runs and versions of this lake: a file is made with the first."""
    return lake.mlflow_address is not None or _locate_file(lake).exists()


def make_store(lake: "Lake") -> None:
    """Make the tables in which MLflow keeps runs and versions, if they are not there."""
    with _open_client(lake) as client:
        client.search_experiments(max_results=1)


def _locate_file(lake: "Lake") -> Path:
    return lake.home / "mlflow" / "mlflow.db"


def prepare_artifacts(lake: "Lake") -> dict[str, str]:
    """Make the folder below which MLflow keeps files of models; returns variables by which MLflow gets in."""
    if lake.bucket is None:
        Path(lake.storage.artifacts).mkdir(parents=True, exist_ok=True)
        return {}
    bucket = lake.bucket
    words = {
        "MLFLOW_S3_ENDPOINT_URL": bucket.endpoint,
        "AWS_DEFAULT_REGION": bucket.region,
        "AWS_ACCESS_KEY_ID": bucket.key_id,
        "AWS_SECRET_ACCESS_KEY": bucket.secret_key,
        "AWS_SESSION_TOKEN": bucket.session_token,
        "AWS_CA_BUNDLE": bucket.ca_file,
    }
    return {name: value for name, value in words.items() if value}


def _relocate(lake: "Lake", location: str) -> str:
    """Where a folder of MLflow is, which keeps absolute addresses: a lake may have been moved or restored."""
    return f"{lake.storage.artifacts}/{location.rpartition('/mlflow/artifacts/')[2]}"


@contextmanager
def _open_client(lake: "Lake") -> Iterator["MlflowClient"]:
    """Open MLflow on the lake's own store, made on first use (two seconds), with its errors translated."""
    with _set_variables({"MLFLOW_DISABLE_TELEMETRY": "true"}):
        # Seconds to import, hence only here.
        from mlflow import MlflowClient  # noqa: PLC0415
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
        from mlflow.telemetry import set_telemetry_client  # noqa: PLC0415

        set_telemetry_client()  # type: ignore[no-untyped-call]  # in case someone else imported MLflow before, with telemetry on
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns that an environment without pip has no pip
    store = name_store(lake)
    try:
        with _set_variables(prepare_artifacts(lake)):
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                client = MlflowClient(tracking_uri=store, registry_uri=store)
            yield client
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise BadData(f"MLflow at {lake.home / 'mlflow'}: {error.message}") from error
        raise Unavailable(f"MLflow at {lake.home / 'mlflow'} is busy or broken: {error.message}") from error


@contextmanager
def _set_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Have MLflow see variables, and leave the environment as it was."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _find_experiment(client: "MlflowClient", lake: "Lake", model: str) -> str:
    location = lake.storage.artifacts
    # An experiment keeps its absolute location for ever; a lake that has moved gets a new one.
    for name in (model, f"{model} at {lake.home}"):
        found = client.get_experiment_by_name(name)
        if found is None:
            return str(client.create_experiment(name, artifact_location=location))
        if found.artifact_location == location:
            return str(found.experiment_id)
    raise Unavailable(f"MLflow's experiments of {model} all write outside of {location}; restore the lake where it was")


def _read_version(lake: "Lake", found: "RegisteredVersion") -> ModelVersion:
    folder = _relocate(lake, str(found.source))
    try:
        descriptor = json.loads(lake.storage.fetch(f"{folder}/{DESCRIPTOR_FILE}").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"{found.name} version {found.version} has lost its files at {folder}: {error}") from error
    return ModelVersion(
        model=found.name,
        version=str(found.version),
        run_id=str(found.run_id),
        folder=folder,
        descriptor=descriptor,
        storage=lake.storage,
        aliases=tuple(sorted(found.aliases)),
    )
