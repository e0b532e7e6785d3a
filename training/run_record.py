"""The record of a training run: every figure, table, text and picture that people look at in MLflow.

Plain data made from a trial; where it is stored is in `run_log`, and what scoring works by in `describe`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.behaviour import build_text_matrix, read_behaviours
from training.card import build_card, summarize
from training.plots import draw_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from scipy import sparse

    from training.evaluate import Evaluation
    from training.gate import Verdict
    from training.metrics import Estimate, Metrics
    from training.trial import Trial

_EXAMPLE_ROWS: Final = 3

Table = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """What a training run leaves for people.

    Parameters
    ----------
    params, metrics, tags
        Settings, figures and circumstances by name.
    texts, figures, tables
        By artifact path; a table is its columns by name, all of one length.
    series
        Figures along a whole number, such as rows learned from: pairs of step and value.
    profile
        What the data are like, in types that JSON has.
    example
        Rows as the pipeline takes them, of texts of ours; None if there are none.
    summary
        The record in a sentence or two.
    """

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    figures: Mapping[str, "Figure"]
    tables: Mapping[str, Table] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    example: "sparse.csr_matrix | None" = None
    summary: str = ""


def build_record(
    trial: "Trial",
    verdict: "Verdict",
    descriptor: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    costs: Mapping[str, float] | None = None,
) -> RunRecord:
    """Everything on a trial that MLflow shows.

    Parameters
    ----------
    tags
        What the trial does not know of itself: commit, lock file.
    costs
        Seconds and memory by name; metrics, so that runs can be compared by them.
    """
    evaluation, service = trial.evaluation, trial.training_set.service
    word = "promoted" if verdict.is_promoted else "refused"
    return RunRecord(
        params={
            **{name: str(descriptor[name]) for name in ("data_version", "feature_service", "rows")},
            **{f"chosen_{name}": str(value) for name, value in descriptor["settings"].items()},
            **{f"recipe_{name}": str(value) for name, value in descriptor["recipe"].items()},
            **{f"split_{name}": str(value) for name, value in descriptor["split"].items()},
        },
        metrics={**flatten_metrics(trial), **(costs or {})},
        tags={"data_digest": descriptor["digest"], "service_digest": service.digest, "verdict": word, **tags},
        texts={
            "card.md": build_card(trial),
            "verdict.md": "".join(f"- {sentence}\n" for sentence in verdict.sentences),
            "evaluation.json": _write_json(evaluation.to_json()),
            "feature_service.json": _write_json(service.definition),
        },
        figures={f"plots/{name}.png": one for name, one in draw_all(evaluation, trial.spec.classes).items()},
        tables={f"tables/{name}.json": one for name, one in build_tables(trial).items()},
        series=build_series(evaluation),
        profile=build_profile(trial),
        example=_build_example(trial),
        summary=f"{summarize(evaluation)} The gate {word} it.",
    )


def flatten_metrics(trial: "Trial") -> dict[str, float]:
    """Every figure of a trial under one name.

    overall, then `baseline/`, `later/`, `slices/<name>/`, `decided/`, `behaviour/<name>`, `ablation/<name>` (the
    difference) and `tuning/`.
    """
    evaluation = trial.evaluation
    flat = {f"tuning/log_loss_{number}": one.log_loss for number, one in enumerate(trial.fitted.attempts)}
    parts = {"": evaluation.overall, "baseline/": evaluation.baseline}
    parts |= {f"slices/{name}/": one for name, one in evaluation.slices.items()}
    parts |= {"later/": evaluation.later} if evaluation.later else {}
    for place, metrics in parts.items():
        flat |= _flatten(place, metrics)
    decided = evaluation.decided
    for name, one in (("share", decided.share), ("accuracy", decided.accuracy), ("macro_f1", decided.macro_f1)):
        flat |= _flatten_estimate(f"decided/{name}", one)
    for point in evaluation.ablation:
        flat |= _flatten_estimate(f"ablation/{point.left_out}", point.difference)
    return flat | {f"behaviour/{one.name}": one.share for one in evaluation.behaviours}


def build_tables(trial: "Trial") -> dict[str, Table]:
    """The tables of an evaluation by name, each as columns; those without rows are left out."""
    evaluation = trial.evaluation
    rows: dict[str, list[dict[str, Any]]] = {
        "slices": [{"slice": name, **_list_metrics(one)} for name, one in evaluation.slices.items()],
        "classes": list(_list_classes(evaluation, trial.spec.classes)),
        "coverage": [_spread(asdict(one)) for one in evaluation.coverage if one.macro_f1],
        "learning": [_spread(asdict(one)) for one in evaluation.learning],
        "ablation": [_spread(asdict(one)) for one in evaluation.ablation],
        "behaviour": [
            {"check": one.name, "kind": one.kind, "expected": one.expect, "cases": one.cases, "passed": one.passed}
            for one in evaluation.behaviours
        ],
        "behaviour_failed": list(_list_failed(evaluation)),
        "search": [{**one.settings, "rows": one.rows, "log_loss": one.log_loss} for one in trial.fitted.attempts],
    }
    return {name: {key: [row[key] for row in found] for key in found[0]} for name, found in rows.items() if found}


def build_series(evaluation: "Evaluation") -> dict[str, list[tuple[int, float]]]:
    """The learning curve by rows learned from, and the coverage curve by confidence in percent."""
    decided = [(round(100 * one.threshold), one) for one in evaluation.coverage if one.accuracy]
    learned = [(one.rows, one) for one in evaluation.learning]
    return {
        "coverage/share": [(step, one.share.value) for step, one in decided],
        "coverage/accuracy": [(step, one.accuracy.value) for step, one in decided if one.accuracy],
        "learning/accuracy": [(step, one.accuracy.value) for step, one in learned],
        "learning/macro_f1": [(step, one.macro_f1.value) for step, one in learned],
    }


def build_profile(trial: "Trial") -> dict[str, Any]:
    """How many rows the training set has, on each side and of each class, and from when to when."""
    known = trial.training_set
    instants = known.table.column("event_timestamp").to_numpy()
    counts = np.bincount(known.labels, minlength=len(trial.spec.classes))
    return {
        "rows": len(known.labels),
        "rows_held_out": int(known.is_held_out.sum()),
        "rows_expired": len(known.expired_ids),
        "groups": len(np.unique(known.groups)),
        "labels": {name: int(count) for name, count in zip(trial.spec.classes, counts, strict=True)},
        "first_observed": str(instants.min()),
        "last_observed": str(instants.max()),
    }


def _build_example(trial: "Trial") -> "sparse.csr_matrix | None":
    """A few of the texts the model was asked; never those of people, which must be erasable."""
    if not trial.evaluation.behaviours:
        return None
    asked = read_behaviours(trial.spec.name, trial.spec.classes)
    return build_text_matrix([one.cases[0][0] for one in asked][:_EXAMPLE_ROWS], trial.training_set.matrix)


def _flatten(place: str, metrics: "Metrics") -> dict[str, float]:
    flat = {f"{place}rows": float(metrics.rows), f"{place}groups": float(metrics.groups)}
    for name, one in metrics.values.items():
        flat |= _flatten_estimate(place + name, one)
    return flat


def _flatten_estimate(name: str, one: "Estimate | None") -> dict[str, float]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high} if one else {}


def _list_metrics(metrics: "Metrics") -> dict[str, Any]:
    return {
        "rows": metrics.rows,
        "groups": metrics.groups,
        **_spread({k: asdict(v) for k, v in metrics.values.items()}),
    }


def _list_classes(evaluation: "Evaluation", classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    for code, name in enumerate(classes):
        figures = {kind: asdict(evaluation.overall.values[f"{kind}_{name}"]) for kind in ("precision", "recall", "f1")}
        predicted = {f"called_{other}": evaluation.confusion[code][place] for place, other in enumerate(classes)}
        yield {"label": name, "rows": sum(evaluation.confusion[code]), **predicted, **_spread(figures)}


def _list_failed(evaluation: "Evaluation") -> Iterator[dict[str, Any]]:
    for one in evaluation.behaviours:
        for case in one.failed:
            said = " → ".join(
                f"{label} {share:.2f}" for label, share in zip(case.labels, case.probabilities, strict=True)
            )
            yield {"check": one.name, "expected": one.expect, "texts": " → ".join(case.texts), "said": said}


def _spread(values: Mapping[str, Any]) -> dict[str, Any]:
    """Estimates as three columns each: the figure, and the ends of its interval."""
    flat: dict[str, Any] = {}
    for name, one in values.items():
        if isinstance(one, Mapping):
            flat |= {name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}
        else:
            flat[name] = one
    return flat


def _write_json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True)
