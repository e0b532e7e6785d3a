"""The model card: what an owner of the model tells its users, in Markdown, from the figures of its run.

After Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019. Only figures are told; how they came about is in
`evaluate`, and what is said of the data and its limits in `card_data`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from training.card_data import describe_data, describe_making, describe_purpose, list_limits

if TYPE_CHECKING:
    from training.behaviour import BehaviourResult
    from training.coverage import CoveragePoint
    from training.evaluate import Evaluation
    from training.metrics import Estimate, Metrics
    from training.trial import Trial

_FIGURES: Final = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log loss (nats, less is better)",
    "brier": "Brier score (0 to 2, less is better)",
    "ece": "calibration error (less is better)",
}
_SHOWN_THRESHOLDS: Final = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

_CARD: Final = """\
# {name}

{purpose}Classes: {classes}. {summary}

## Intended use
Ranking, counting and watching comments in bulk, where single mistakes even out or a person looks again. Below a
confidence of {threshold:g} the model abstains: such a label is a guess, and not to be acted on.

Not for decisions on single people, nor for texts that are no comments.

## Data
{data}

## How it was made
{making}

## How good it is
Judged {design}: {judged:,} comments in {groups:,} groups. Intervals are 95 %, from resampled groups.

{figures}

{classes_table}

![confusion matrix](plots/confusion.png) ![reliability curve](plots/reliability.png)

{later}

### Slices
{slices}

### When it abstains
{coverage}

### Behaviour
{behaviours}

### More labels
{learning}

### Fewer columns
{ablation}

## Limits
{limits}
"""


def build_card(trial: "Trial") -> str:
    """Write the card of a version just trained."""
    spec, evaluation = trial.spec, trial.evaluation
    return _CARD.format(
        name=spec.name,
        purpose=describe_purpose(spec),
        classes=", ".join(spec.classes),
        summary=summarize(evaluation),
        threshold=spec.abstain_below,
        data=build_table(("", ""), describe_data(trial)),
        making=describe_making(trial),
        design=evaluation.design,
        judged=evaluation.overall.rows,
        groups=evaluation.overall.groups,
        figures=_build_figures(evaluation),
        classes_table=_build_classes(evaluation, spec.classes),
        later=_describe_later(evaluation.later),
        slices=_build_slices(evaluation),
        coverage=_build_coverage(evaluation),
        behaviours=_build_behaviours(evaluation.behaviours),
        learning=_build_learning(evaluation),
        ablation=_build_ablation(evaluation),
        limits="\n".join(f"- {limit}" for limit in list_limits(trial)),
    )


def show_estimate(estimate: "Estimate") -> str:
    """Show a figure and its interval.

    >>> from training.metrics import Estimate
    >>> show_estimate(Estimate(0.7134, 0.7, 0.73))
    '0.713 (0.700 to 0.730)'
    """
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def select_points(evaluation: "Evaluation") -> tuple["CoveragePoint", ...]:
    """The points of the coverage curve worth a line: round thresholds and the spec's, each that decides otherwise."""
    shown = [one for one in evaluation.coverage if one.threshold in _SHOWN_THRESHOLDS]
    by_threshold = {one.threshold: one for one in (*shown, evaluation.decided)}
    found: dict[int, CoveragePoint] = {}
    for _, one in sorted(by_threshold.items()):
        if one.rows and (one.rows not in found or one.threshold == evaluation.decided.threshold):
            found[one.rows] = one
    return tuple(found.values())


def build_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Build a Markdown table.

    >>> print(build_table(("slice", "rows"), [("short | long", "7")]))
    | slice | rows |
    | --- | --- |
    | short \| long | 7 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def summarize(evaluation: "Evaluation") -> str:
    """Say in a sentence how good a model is, beside always saying the same."""
    ours, theirs = evaluation.overall.values, evaluation.baseline.values
    return (
        f"On comments it has not seen, its accuracy is {show_estimate(ours['accuracy'])} and its macro-F1 "
        f"{show_estimate(ours['macro_f1'])}; always saying {evaluation.majority!r} reaches "
        f"{theirs['accuracy'].value:.3f} and {theirs['macro_f1'].value:.3f}."
    )


def _build_figures(evaluation: "Evaluation") -> str:
    ours, theirs = evaluation.overall.values, evaluation.baseline.values
    rows = ((shown, show_estimate(ours[name]), f"{theirs[name].value:.3f}") for name, shown in _FIGURES.items())
    return build_table(("figure", "model", f"always {evaluation.majority}"), rows)


def _build_classes(evaluation: "Evaluation", classes: Sequence[str]) -> str:
    def build_row(code: int, name: str) -> tuple[str, ...]:
        figures = (show_estimate(evaluation.overall.values[f"{kind}_{name}"]) for kind in ("precision", "recall", "f1"))
        return name, f"{sum(evaluation.confusion[code]):,}", *figures

    rows = (build_row(code, name) for code, name in enumerate(classes))
    return build_table(("class", "comments", "precision", "recall", "F1"), rows)


def _build_slices(evaluation: "Evaluation") -> str:
    if not evaluation.slices:
        return "None was looked at."
    rows = (
        (name, f"{one.rows:,}", show_estimate(one.values["accuracy"]), show_estimate(one.values["macro_f1"]))
        for name, one in evaluation.slices.items()
    )
    table = build_table(("slice", "comments", "accuracy", "macro-F1"), rows)
    return f"{table}\n\n![slices](plots/slices.png)"


def _build_coverage(evaluation: "Evaluation") -> str:
    def build_row(one: "CoveragePoint") -> tuple[str, ...]:
        here = " (this model)" if one.threshold == evaluation.decided.threshold else ""
        return (
            f"{one.threshold:g}{here}",
            show_estimate(one.share),
            *(_show(each) for each in (one.accuracy, one.macro_f1)),
        )

    header = ("confidence from", "share decided", "accuracy there", "macro-F1 there")
    table = build_table(header, (build_row(one) for one in select_points(evaluation)))
    return f"{table}\n\n![coverage curve](plots/coverage.png)"


def _build_behaviours(results: Sequence["BehaviourResult"]) -> str:
    if not results:
        return "No behaviour was checked."
    rows = ((one.name, one.kind, one.expect, f"{one.passed} of {one.cases}") for one in results)
    table = build_table(("check", "kind", "expected", "as expected"), rows)
    parts = [
        "What it made of texts written for the purpose (CheckList, Ribeiro et al. 2020).",
        table,
        "![behaviour](plots/behaviour.png)",
    ]
    examples = [f"- {line}" for one in results for line in _show_failures(one)]
    if examples:
        parts += ["Not as expected, for example:", "\n".join(examples)]
    return "\n\n".join(parts)


def _show_failures(result: "BehaviourResult") -> Iterator[str]:
    for case in result.failed[:1]:
        said = zip(case.texts, case.labels, strict=True)
        yield f"{result.name}: " + " → ".join(f"“{text}” is {label}" for text, label in said)


def _build_learning(evaluation: "Evaluation") -> str:
    if len(evaluation.learning) < 2:  # noqa: PLR2004 - the last point is the model itself
        return "No learning curve was drawn."
    rows = (
        (f"{one.rows:,}", f"{one.share:.0%}", show_estimate(one.accuracy), show_estimate(one.macro_f1))
        for one in evaluation.learning
    )
    table = build_table(("comments learned from", "share of the groups", "accuracy", "macro-F1"), rows)
    return f"{table}\n\n![learning curve](plots/learning.png)"


def _build_ablation(evaluation: "Evaluation") -> str:
    if not evaluation.ablation:
        return "No column was left out."
    rows = ((one.left_out, f"{one.macro_f1:.3f}", show_estimate(one.difference)) for one in evaluation.ablation)
    table = build_table(("learned without", "macro-F1", "difference"), rows)
    return f"{table}\n\n![ablation](plots/ablation.png)"


def _describe_later(later: "Metrics | None") -> str:
    if later is None:
        return "How it ages is not known: there are too few later comments of groups held out."
    return (
        f"How it ages: learned from the earlier 80 % of the time and judged on {later.rows:,} later comments of groups "
        f"held out, its macro-F1 is {show_estimate(later.values['macro_f1'])}."
    )


def _show(estimate: "Estimate | None") -> str:
    return "-" if estimate is None else show_estimate(estimate)
