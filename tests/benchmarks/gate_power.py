"""How often the gate errs, by simulation on real predictions: `python -m tests.benchmarks.gate_power [sentiment|spam]`.

Needs SCORELAKE_TEST_DATA. Champion and challenger are two real models, out of fold on the training side of the split;
the rows that are held out for ever are not touched. Of the challenger's predictions, some drawn at random are put right
or wrong until its macro-F1 on all these rows, its true one, differs from the champion's as wanted. Each simulation
draws as many whole videos as are held out, with replacement, and judges the challenger on them as the gate would, and
by other rules. Where nothing is held out (spam), the videos are the given ones and rows are drawn within them.

Two pairs of models: fitted on two bootstrap samples of the videos, which is more than a week of new labels changes;
and on the same rows with a third of C, which is less.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from flows.report import Grid, Report, print_report
from tests.benchmarks.ablation import SOURCES, fill_lake, read_training_side
from training.difference import Difference, adjust_holm, compare_macro_f1
from training.evaluate import JudgedRows, choose_judged_rows
from training.fit import Examples, FittedModel, fit_model, predict_out_of_fold
from training.metrics import compute_metrics
from training.spec import GateBounds, ModelSpec, Recipe, read_spec
from training.trial import build_examples

if TYPE_CHECKING:
    from training.dataset import TrainingSet
    from training.model import Floats

WANTED = {"worse by 0.01": -0.01, "equal": 0.0, "better by 0.02": 0.02}
SLICE_LOSS = -0.10
HURT_SLICES = ("with emoji", "short text", "Latin but not English")
FEW_GROUPS = 20
BOUNDS = GateBounds(min_macro_f1=0)


@dataclass(frozen=True, slots=True)
class Found:
    """What one simulation showed of one challenger: the difference on all judged rows, and on each judged slice."""

    overall: Difference
    slices: tuple[Difference, ...]


Rule = Callable[[Found], bool]


def rule_out(margin: float, level: float) -> Rule:
    """The gate's rule, with other bounds."""
    return lambda found: found.overall.compute_p_worse(margin, level) <= level


def spare_slices(margin: float, level: float) -> Rule:
    """The gate's rule on slices, with other bounds."""
    return lambda found: all(
        p > level for p in adjust_holm([one.compute_p_not_worse(margin, level) for one in found.slices])
    )


OVERALL_RULES: dict[str, Rule] = {
    "loss of at most 0.010 found, interval reaches 0": lambda found: (
        found.overall.value >= -0.01 and found.overall.estimate.high >= 0
    ),
    "no loss found": lambda found: found.overall.value >= 0,
    **{
        f"loss of {margin:.3f} ruled out, level {level:.2f}": rule_out(margin, level)
        for margin, level in (
            (0.0, 0.05), (0.005, 0.05), (0.01, 0.05), (0.01, 0.1), (0.01, 0.2), (0.015, 0.05), (0.02, 0.05),
        )
    },
}  # fmt: skip
SLICE_RULES: dict[str, Rule] = {
    "loss of at most 0.050 found": lambda found: all(one.value >= -0.05 for one in found.slices),
    "loss of 0.050 ruled out, level 0.05": lambda found: all(
        one.compute_p_worse(0.05, 0.05) <= 0.05 for one in found.slices
    ),
    "not surely worse by 0.020, level 0.05 each": lambda found: all(
        one.compute_p_not_worse(0.02, 0.05) > 0.05 for one in found.slices
    ),
    **{
        f"not surely worse by {margin:.3f}, level 0.05 after Holm": spare_slices(margin, 0.05)
        for margin in (0.0, 0.01, 0.02, 0.03, 0.05)
    },
}


def promote(found: Found) -> bool:
    """The gate as it is, but for floor, calibration and cost."""
    return rule_out(BOUNDS.max_loss, BOUNDS.level)(found) and spare_slices(BOUNDS.max_slice_loss, BOUNDS.level)(found)


def predict_pairs(side: "TrainingSet", spec: ModelSpec) -> dict[str, tuple["Floats", "Floats"]]:
    """Out-of-fold probabilities of champion and challenger, by how they came to differ."""
    examples, rng = build_examples(side, spec, side.matrix), np.random.default_rng(1)
    chosen = spec.recipe.fix(fit_model(examples, spec.recipe, spec.build_pipeline).settings)
    (name, (c,)), *_ = chosen.search.items()
    weaker = replace(chosen, search={**chosen.search, name: (c / 3,)})

    def predict(recipe: Recipe, *, is_drawn: bool) -> "Floats":
        def fit(learned: Examples) -> FittedModel:
            rows = learned.take(draw_rows(learned.groups, rng)) if is_drawn else learned
            return fit_model(rows, recipe, spec.build_pipeline)

        return predict_out_of_fold(examples, spec.folds, fit)

    return {
        "two samples of the videos": (predict(chosen, is_drawn=True), predict(chosen, is_drawn=True)),
        f"C of {c:g} and {c / 3:.2g}": (predict(chosen, is_drawn=False), predict(weaker, is_drawn=False)),
    }


def draw_rows(groups: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the rows of groups drawn with replacement; of few groups, of rows within each."""
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    if len(members) < FEW_GROUPS:
        return np.concatenate([rng.choice(one, len(one)) for one in members])
    return np.concatenate([members[number] for number in rng.integers(0, len(members), len(members))])


def shift_macro_f1(rows: JudgedRows, said: "Floats", goal: float, is_in: NDArray[np.bool_]) -> "Floats":
    """Put predictions of a slice right or wrong, at random, until its macro-F1 is the goal."""
    is_right = said.argmax(axis=1) == rows.labels
    is_short = measure(rows, said, is_in) < goal
    candidates = np.flatnonzero(is_in & (is_right != is_short))
    order = np.random.default_rng(2).permutation(candidates)
    few, many = 0, len(order)
    while many - few > 1:
        middle = (few + many) // 2
        is_still_short = measure(rows, swap(rows, said, order[:middle]), is_in) < goal
        few, many = (middle, many) if is_still_short == is_short else (few, middle)
    return swap(rows, said, order[:many])


def swap(rows: JudgedRows, said: "Floats", where: NDArray[np.intp]) -> "Floats":
    """Exchange the probability of what is said with that of the label or, where it is right, of the runner-up."""
    order = said[where].argsort(axis=1)
    first, second = order[:, -1], order[:, -2]
    other = np.where(first == rows.labels[where], second, rows.labels[where])
    changed = said.copy()
    changed[where, first], changed[where, other] = said[where, other], said[where, first]
    return changed


def measure(rows: JudgedRows, said: "Floats", is_in: NDArray[np.bool_] | None = None) -> float:
    """Macro-F1 of probabilities on the rows of a slice, or on all."""
    return float(compute_metrics(rows.tally(said, is_in).sum(axis=0), rows.classes)["macro_f1"])


def build_challengers(rows: JudgedRows, champion: "Floats", other: "Floats") -> dict[str, "Floats"]:
    """Challengers whose true macro-F1 differs from the champion's as wanted; the last ones on a slice alone."""
    everywhere = np.ones(len(rows.labels), dtype=bool)
    goal = measure(rows, champion)
    found = {name: shift_macro_f1(rows, other, goal + by, everywhere) for name, by in WANTED.items()}
    for name in HURT_SLICES:
        is_in = rows.slices.get(name, ~everywhere)
        if is_in.any():
            goal = measure(rows, champion, is_in) + SLICE_LOSS
            found[f"{name!r} worse by 0.10"] = shift_macro_f1(rows, found["equal"], goal, is_in)
    return found


def draw_judged(rows: JudgedRows, group_count: int, rng: np.random.Generator) -> JudgedRows:
    """Judged rows as another lake might hold them: drawn groups, each a group of its own; or rows of few groups."""
    members = [np.flatnonzero(rows.groups == number) for number in range(rows.group_count)]
    if rows.group_count < FEW_GROUPS:
        drawn = [rng.choice(one, len(one)) for one in members]
    else:
        drawn = [members[number] for number in rng.integers(0, len(members), group_count)]
    positions = np.concatenate(drawn)
    return JudgedRows(
        classes=rows.classes,
        positions=positions,
        labels=rows.labels[positions],
        groups=np.repeat(np.arange(len(drawn)), [len(one) for one in drawn]),
        slices={name: is_in[positions] for name, is_in in rows.slices.items()},
        majority=rows.majority,
    )


def compare(drawn: JudgedRows, challenger: "Floats", champion: "Floats") -> Found:
    """What the gate sees of one drawing of rows."""
    ours, theirs = challenger[drawn.positions], champion[drawn.positions]
    judged = [is_in for is_in in drawn.slices.values() if is_in.sum() >= BOUNDS.min_slice_rows]
    slices = tuple(compare_macro_f1(drawn, ours, theirs, is_in) for is_in in judged)
    return Found(compare_macro_f1(drawn, ours, theirs), slices)


def simulate(
    rows: JudgedRows, champion: "Floats", challengers: Mapping[str, "Floats"], group_count: int, times: int
) -> dict[str, list[Found]]:
    """What is found of every challenger in so many simulations, each on the same rows for all."""
    rng = np.random.default_rng(3)
    found: dict[str, list[Found]] = {name: [] for name in challengers}
    for _ in range(times):
        drawn = draw_judged(rows, group_count, rng)
        for name, challenger in challengers.items():
            found[name].append(compare(drawn, challenger, champion))
    return found


def build_table(found: Mapping[str, list[Found]]) -> Iterator[tuple[object, ...]]:
    """How often each rule promotes each challenger."""
    rules = [("the gate", promote)]
    rules += [(f"all rows: {name}", rule) for name, rule in OVERALL_RULES.items()]
    rules += [(f"slices: {name}", rule) for name, rule in SLICE_RULES.items()]
    for name, rule in rules:
        yield name, *(f"{np.mean([rule(one) for one in some]):.1%}" for some in found.values())


def main() -> None:
    """Print a table for each pair of models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(SOURCES), nargs="?", default="sentiment")
    parser.add_argument("--simulations", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lake = fill_lake(Path(os.environ["SCORELAKE_TEST_DATA"]), Path(scratch) / "home", asked.model)
        side, spec = read_training_side(lake, read_spec(asked.model), len(SOURCES[asked.model][2]))
    rows = choose_judged_rows(side, spec)
    # A fifth of the groups is held out, a quarter of those on the training side.
    group_count = round(rows.group_count * spec.held_out_share / (1 - spec.held_out_share))
    for pair, (champion, other) in predict_pairs(side, spec).items():
        challengers = build_challengers(rows, champion, other)
        differing = np.mean(challengers["equal"].argmax(axis=1) != champion.argmax(axis=1))
        found = simulate(rows, champion, challengers, group_count, asked.simulations)
        spread = np.std([one.overall.value for one in found["equal"]])
        judged = np.mean([one.overall.rows for one in found["equal"]])
        facts = {
            "champion's true macro-F1": measure(rows, champion),
            "judged": f"{judged:,.0f} rows of {found['equal'][0].overall.groups} groups",
            "slices judged": np.mean([len(one.slices) for one in found["equal"]]),
            "equal models disagree on": f"{differing:.1%} of the rows",
            "standard deviation of their difference": spread,
        }
        grid = Grid(("share of simulations in which is promoted", *challengers), tuple(build_table(found)))
        print_report(Report(f"{asked.model}, {pair}: {asked.simulations} simulations", facts, (grid,)), Console())


if __name__ == "__main__":
    main()
