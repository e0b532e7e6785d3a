"""The descriptor of a version: all that scoring, refitting and rebuilding its training set work by.

Plain data made from a trial; where it is stored is the registry's affair, and what people read is in `run_record`.
"""

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from feature_repo.errors import BadData
from training.digest import digest_floats, digest_state
from training.inputs import build_inputs, build_settings
from training.model import MatrixSpec
from training.provenance import read_provenance
from training.spec import Recipe

if TYPE_CHECKING:
    from training.spec import ModelSpec
    from training.trial import Trial
    from training.version import ModelVersion


def build_descriptor(trial: "Trial", *, run_id: str) -> dict[str, Any]:
    """All that is needed to score with a version, to refit it and to rebuild its training set; JSON types only.

    Keys: model, run_id (of scorelake), classes (order of the probabilities), matrix, feature_service, service_digest,
    service_definition, abstain_below, data_version, as_of and digest (of the training set), rows, cutoff
    (greatest event_timestamp learned from), split, recipe, settings (chosen), metrics (by name, on the judged rows),
    spec, inputs (see `inputs`), provenance, and what a refit is compared by: parameters_digest of the fitted
    pipeline, predictions_digest of the probabilities of the judged rows.
    """
    spec, known = trial.spec, trial.training_set
    learned = known.table.filter(~known.is_held_out)
    return {
        "model": spec.name,
        "run_id": run_id,
        "classes": list(spec.classes),
        "matrix": known.matrix.to_json(),
        "feature_service": known.service.name,
        "service_digest": known.service.digest,
        "service_definition": known.service.definition,
        "abstain_below": spec.abstain_below,
        "data_version": known.data_version,
        "as_of": known.as_of.isoformat(),
        "digest": known.digest,
        "rows": len(known.labels),
        "cutoff": pc.max(learned.column("event_timestamp")).as_py().isoformat(),
        "split": build_split(spec),
        "recipe": trial.recipe.to_json(),
        "settings": dict(trial.fitted.settings),
        "metrics": {name: one.value for name, one in trial.evaluation.overall.values.items()},
        "spec": build_settings(spec),
        "inputs": build_inputs(known, spec, trial.recipe),
        "provenance": read_provenance(),
        "parameters_digest": digest_state(trial.fitted.pipeline),
        "predictions_digest": digest_floats(trial.probabilities),
    }


def build_split(spec: "ModelSpec") -> dict[str, Any]:
    """What decides which rows a version is judged on, and in which classes."""
    return {
        "classes": list(spec.classes),
        "group_column": spec.group_column,
        "is_cross_group": spec.is_cross_group,
        "held_out_share": spec.held_out_share,
        "held_out_salt": spec.held_out_salt,
    }


def check_split(spec: "ModelSpec", version: "ModelVersion") -> None:
    """Refuse a version that may have learned from the rows it would be judged on.

    Raises
    ------
    BadData
        If it was trained under another split, or for other classes, than the spec has now.
    """
    then, now = version.descriptor["split"], build_split(spec)
    changed = [f"{name} was {then.get(name)!r}, is {now[name]!r}" for name in now if then.get(name) != now[name]]
    if changed:
        raise BadData(
            f"{version.model} version {version.version} cannot be judged on today's rows, for it may have learned "
            f"from them: {'; '.join(changed)}. Restore training/specs/{spec.name}.py, or name the model anew."
        )


def read_matrix(version: "ModelVersion") -> MatrixSpec:
    """Columns that a version was trained on."""
    return MatrixSpec.from_json(version.descriptor["matrix"])


def read_recipe(version: "ModelVersion") -> Recipe:
    """How a version was fitted."""
    return Recipe.from_json(version.descriptor["recipe"])
