"""What `doctor` looks at in the models: whether the champions are whole, and still fit the features that there are."""

from typing import Final

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import read_lake
from flows.checkup import Check, Scene, Sight, tell, well, wrong
from training.promotions import read_standing
from training.spec import list_specs

_TOLD: Final = {"lock": "lock file", "python": "Python", "blas": "linear algebra"}


def _look_at_models(scene: Scene) -> Sight:
    with read_lake(scene.lake) as connection:
        champions = {model: read_standing(connection, model).champion for model in list_specs()}
    faults, said = [], []
    for model in (model for model, champion in champions.items() if champion):
        try:
            said.append(_describe(scene, model))
        except (BadData, Unavailable) as error:
            faults.append(tell(error))
    if faults:
        return wrong("; ".join(faults), "Train anew with `scorelake train`, roll back, or put the home's mlflow back")
    return well("; ".join(said) or "there is no champion yet")


def _describe(scene: Scene, model: str) -> str:
    """Say what a champion is; raises what a scoring run would."""
    # Seconds to import, and only where there is a champion.
    from feature_repo.retrieval import describe_service  # noqa: PLC0415
    from training.provenance import read_environment, read_provenance  # noqa: PLC0415
    from training.registry import resolve  # noqa: PLC0415

    version = resolve(scene.lake, model)
    name, digest = version.descriptor["feature_service"], version.descriptor["service_digest"]
    if describe_service(scene.lake, name).digest != digest:
        raise BadData(f"{model} version {version.version} was trained on another {name} than is registered now")
    now = {"lock": read_provenance()["lock_sha256"], **read_environment()}
    recorded = version.descriptor.get("inputs", {})
    others = [said for key, said in _TOLD.items() if recorded.get(key, now[key]) != now[key]]
    return f"{model} {version.version} is whole" + (f" (trained with another {' and '.join(others)})" if others else "")


MODEL_CHECKS: Final = (
    Check(
        "models",
        "A champion whose files or features are not those it was judged with is refused by the next scoring run.",
        _look_at_models,
    ),
)
