"""The model card: what an owner of the model tells its users, in Markdown, from the figures of its run.

After Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019, in short.
"""

from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

if TYPE_CHECKING:
    from training.metrics import Estimate, Metrics
    from training.trial import Trial

_CARD: Final = """\
# {name}: {classes}

Trained at {trained_at} on {rows:,} labelled comments ({first} to {last}), data version {data_version},
feature service `{service}`. Labels are as good as their source: {labels}.

Judged {design}: {judged:,} rows in {groups:,} groups. Intervals are 95 %, from resampled groups.

| figure | model | always {majority} |
|---|---|---|
{figures}

| slice | rows | macro-F1 |
|---|---|---|
{slices}

**Later**: {later}

**Use**: ranking, counting and watching comments in bulk. Below a confidence of {abstain_below} the model abstains
({abstained:.0%} of the judged rows). Not for decisions on single people; slices above with wide intervals are
little known.
"""


def build_card(trial: "Trial") -> str:
    """Write the card of a version just trained."""
    spec, training_set, evaluation = trial.spec, trial.training_set, trial.evaluation
    overall = evaluation.overall
    instants = pc.min_max(training_set.table.column("event_timestamp")).as_py()
    counts = pc.value_counts(training_set.table.column("label")).to_pylist()
    return _CARD.format(
        name=spec.name,
        classes=", ".join(spec.classes),
        trained_at=f"{training_set.as_of:%Y-%m-%d %H:%M %Z}",
        rows=len(training_set.labels),
        first=f"{instants['min']:%Y-%m-%d}",
        last=f"{instants['max']:%Y-%m-%d}",
        data_version=training_set.data_version,
        service=training_set.service.name,
        labels=", ".join(sorted(f"{one['values']} {one['counts']:,}" for one in counts)),
        design=evaluation.design,
        judged=overall.rows,
        groups=overall.groups,
        majority=evaluation.majority,
        figures="\n".join(
            f"| {name} | {show_estimate(one)} | {evaluation.baseline.values[name].value:.3f} |"
            for name, one in overall.values.items()
        ),
        slices="\n".join(
            f"| {name} | {one.rows:,} | {show_estimate(one.values['macro_f1'])} |"
            for name, one in evaluation.slices.items()
        ),
        later=_describe_later(evaluation.later),
        abstain_below=spec.abstain_below,
        abstained=evaluation.abstained_share,
    )


def show_estimate(estimate: "Estimate") -> str:
    """Show a figure and its interval.

    >>> from training.metrics import Estimate
    >>> show_estimate(Estimate(0.7134, 0.7, 0.73))
    '0.713 (0.700 to 0.730)'
    """
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _describe_later(later: "Metrics | None") -> str:
    if later is None:
        return "too few later rows to judge how the model ages."
    return (
        f"learned from the earlier 80 % of the time and judged on {later.rows:,} later rows, it has macro-F1 "
        f"{show_estimate(later.values['macro_f1'])}."
    )
