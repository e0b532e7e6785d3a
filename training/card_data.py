"""What the model card says of purpose, data, making and limits: read from the training set and the figures."""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc

from training import specs
from training.spec import list_specs

if TYPE_CHECKING:
    import pyarrow as pa

    from training.spec import ModelSpec
    from training.trial import Trial

_FEW_GROUPS: Final = 20
_FEW_ROWS: Final = 100
_WIDE: Final = 0.2  # of an interval of macro-F1
_POOR_SHARE: Final = 0.8  # of the cases of a behaviour
_MANY_SOURCES: Final = 8


def describe_purpose(spec: "ModelSpec") -> str:
    """What the model is for, as its spec's module says in its first line; nothing for a spec from elsewhere."""
    if spec.name not in list_specs():
        return ""
    told = import_module(f"{specs.__name__}.{spec.name}").__doc__ or ""
    return f"{told.strip().splitlines()[0]} " if told.strip() else ""


def describe_data(trial: "Trial") -> Iterator[tuple[str, str]]:
    """What was learned from and judged on, as rows of a table."""
    known = trial.training_set
    table, counts = known.table, np.bincount(known.labels, minlength=len(trial.spec.classes))
    yield "labelled comments", f"{len(table):,}"
    yield "learned from", f"{int((~known.is_held_out).sum()):,}"
    yield (
        "labels",
        ", ".join(
            f"{name} {count:,} ({count / len(table):.0%})"
            for name, count in zip(trial.spec.classes, counts, strict=True)
        ),
    )
    yield "label sources", _describe_sources(table)
    yield "comments first observed", _describe_span(table, "event_timestamp")
    yield "labels given", _describe_span(table, "labelled_at")
    if known.expired_ids:
        yield "left out, their text has expired", f"{len(known.expired_ids):,}"
    yield "data version, as of", f"{known.data_version}, {known.as_of:%Y-%m-%d %H:%M %Z}"
    yield "digest of the data", f"`{known.digest[:16]}`"
    yield "feature service", f"`{known.service.name}`, {len(known.service.features)} features"


def describe_making(trial: "Trial") -> str:
    """Which pipeline learned from what, and how its settings were chosen."""
    fitted, matrix = trial.fitted, trial.training_set.matrix
    steps = " → ".join(type(step).__name__ for _, step in getattr(fitted.pipeline, "steps", []))
    settings = ", ".join(f"`{name}` = {value}" for name, value in fitted.settings.items()) or "none"
    tried = len({str(dict(one.settings)) for one in fitted.attempts})
    search = f"chosen among {tried} by cross-validated log loss, groups kept whole" if tried else "given, not searched"
    is_shuffled = trial.recipe.label_shuffle_seed is not None
    return (
        f"scikit-learn: {steps}, on {matrix.token_dimension:,} hashed tokens and "
        f"{matrix.columns - matrix.token_dimension} numbers. Settings {settings}; {search}."
        f"{' Its labels were shuffled: it is there to be refused.' if is_shuffled else ''}"
    )


def list_limits(trial: "Trial") -> Iterator[str]:
    """What a user should know before trusting the model, from its own figures."""
    evaluation = trial.evaluation
    yield f"Labels are as good as their source ({_describe_sources(trial.training_set.table)})."
    if evaluation.overall.groups < _FEW_GROUPS:
        yield f"Its figures rest on {evaluation.overall.groups} groups: intervals from so few are too narrow."
    weakest = min(trial.spec.classes, key=lambda name: evaluation.overall.values[f"f1_{name}"].value)
    precision, recall = (evaluation.overall.values[f"{kind}_{weakest}"].value for kind in ("precision", "recall"))
    yield f"Weakest on {weakest!r}: it finds {recall:.0%} of them, and {precision:.0%} of what it calls so are."
    yield from _list_slice_limits(trial)
    missed = [f"{one.name} ({one.passed} of {one.cases})" for one in evaluation.behaviours if one.share < _POOR_SHARE]
    if missed:
        yield f"Often not as expected on texts written for the purpose: {'; '.join(missed)}."
    if evaluation.later is None:
        yield "How it ages was not measured; watch its drift."
    yield "It reads words and their neighbours: irony, quotes and allusions are lost on it."


def _list_slice_limits(trial: "Trial") -> Iterator[str]:
    evaluation = trial.evaluation
    overall = evaluation.overall.values["macro_f1"].value
    figures = {name: (one.rows, one.values["macro_f1"]) for name, one in evaluation.slices.items()}
    worse = [f"{name} ({one.value:.2f})" for name, (_, one) in figures.items() if one.high < overall]
    if worse:
        yield f"Worse than on the whole, beyond chance: {'; '.join(worse)}."
    unknown = [
        f"{name} ({rows:,})" for name, (rows, one) in figures.items() if rows < _FEW_ROWS or one.high - one.low > _WIDE
    ]
    if unknown:
        yield f"Too few judged comments to know: {'; '.join(unknown)}."
    unseen = [one.name for one in trial.spec.slices if one.name not in figures]
    if unseen:
        yield f"No judged comment at all: {'; '.join(unseen)}."


def _describe_sources(table: "pa.Table") -> str:
    """Where labels came from, the greatest first: the source, the labeller if told, and how many."""
    if "label_source" not in table.column_names:
        return "not told"
    counted = table.group_by(["label_source", "labeller"]).aggregate([([], "count_all")]).to_pylist()
    ordered = sorted(counted, key=lambda one: (-one["count_all"], str(one["label_source"]), str(one["labeller"])))
    told = [f"{_name_source(one)} {one['count_all']:,}" for one in ordered[:_MANY_SOURCES]]
    return ", ".join([*told, *([f"{len(ordered) - _MANY_SOURCES} more"] if len(ordered) > _MANY_SOURCES else [])])


def _name_source(counted: dict[str, Any]) -> str:
    by = f" by {counted['labeller']}" if counted["labeller"] else ""
    return f"{counted['label_source']}{by}"


def _describe_span(table: "pa.Table", column: str) -> str:
    if column not in table.column_names:
        return "not told"
    span = pc.min_max(table.column(column)).as_py()
    first, last = f"{span['min']:%Y-%m-%d}", f"{span['max']:%Y-%m-%d}"
    return first if first == last else f"{first} to {last}"
