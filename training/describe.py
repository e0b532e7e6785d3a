"""What is kept of a version: the descriptor that scoring works by, and the record that people read.

Both are plain data made from a trial; where they are stored is the registry's affair.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from feature_repo.errors import BadData
from training.card import build_card
from training.model import MatrixSpec
from training.plots import draw_confusion, draw_reliability, draw_slices
from training.spec import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from training.evaluate import Evaluation
    from training.gate import Verdict
    from training.registry import ModelVersion
    from training.spec import ModelSpec
    from training.trial import Trial


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """What a training run leaves for people: settings, figures, tags; texts and pictures by artifact path."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    figures: Mapping[str, "Figure"]


def build_descriptor(trial: "Trial", *, run_id: str) -> dict[str, Any]:
    """All that is needed to score with a version, to refit it and to rebuild its training set; JSON types only.

    Keys: model, run_id (of scorelake), classes (order of the probabilities), matrix, feature_service, service_digest,
    service_definition, abstain_below, data_version, as_of and digest (of the training set), rows, cutoff
    (greatest event_timestamp learned from), split, recipe, c, metrics (name → value on the judged rows).
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
        "recipe": asdict(trial.recipe) | {"c_values": list(trial.recipe.c_values)},
        "c": trial.fitted.c,
        "metrics": {name: one.value for name, one in trial.evaluation.overall.values.items()},
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
    return Recipe().change(version.descriptor["recipe"])


def build_record(
    trial: "Trial", verdict: "Verdict", descriptor: Mapping[str, Any], *, tags: Mapping[str, str]
) -> RunRecord:
    """Everything on a trial that MLflow shows.

    Parameters
    ----------
    tags
        What the trial does not know of itself: commit, lock file, seconds, memory.
    """
    evaluation, service = trial.evaluation, trial.training_set.service
    return RunRecord(
        params={
            **{name: str(descriptor[name]) for name in ("c", "data_version", "feature_service", "rows")},
            **{f"recipe_{name}": str(value) for name, value in descriptor["recipe"].items()},
            **{f"split_{name}": str(value) for name, value in descriptor["split"].items()},
        },
        metrics=flatten_metrics(trial),
        tags={
            "data_digest": descriptor["digest"],
            "service_digest": service.digest,
            "verdict": "promoted" if verdict.is_promoted else "refused",
            **tags,
        },
        texts={
            "card.md": build_card(trial),
            "verdict.md": "".join(f"- {sentence}\n" for sentence in verdict.sentences),
            "evaluation.json": _write_json(evaluation.to_json()),
            "feature_service.json": _write_json(service.definition),
        },
        figures={
            "plots/confusion.png": draw_confusion(evaluation, trial.spec.classes),
            "plots/reliability.png": draw_reliability(evaluation),
            "plots/slices.png": draw_slices(evaluation),
        },
    )


def flatten_metrics(trial: "Trial") -> dict[str, float]:
    """Every figure of a trial under one name: overall, `baseline/`, `later/`, `slices/<name>/` and `tuning/`."""
    evaluation = trial.evaluation
    flat = {f"tuning/log_loss_c_{c:g}": loss for c, loss in trial.fitted.tuning_log_loss.items()}
    flat |= _flatten(evaluation) | {"abstained_share": evaluation.abstained_share}
    if evaluation.decided_accuracy is not None:
        flat["decided_accuracy"] = evaluation.decided_accuracy
    return flat


def _flatten(evaluation: "Evaluation") -> dict[str, float]:
    parts = {"": evaluation.overall, "baseline/": evaluation.baseline}
    parts |= {f"slices/{name}/": one for name, one in evaluation.slices.items()}
    if evaluation.later is not None:
        parts["later/"] = evaluation.later
    flat: dict[str, float] = {}
    for place, metrics in parts.items():
        flat |= {f"{place}rows": float(metrics.rows), f"{place}groups": float(metrics.groups)}
        for name, one in metrics.values.items():
            flat |= {f"{place}{name}": one.value, f"{place}{name}_low": one.low, f"{place}{name}_high": one.high}
    return flat


def _write_json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True)
