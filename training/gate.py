"""The gate: whether a challenger may become champion, and why, in sentences.

Pure: probabilities on the same judged rows and the bounds of the spec in, a verdict out. What follows from it, in the
ledger and the registry, is for others to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.evaluate import build_majority
from training.metrics import Estimate, build_estimate, compute_metrics, estimate_metrics, resample_groups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from training.evaluate import JudgedRows
    from training.model import Floats
    from training.spec import GateBounds


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the gate looked at; the sentence holds both figures that were compared."""

    name: str
    is_passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of a challenger; one that failed is enough to refuse."""

    checks: tuple[Check, ...]

    @property
    def is_promoted(self) -> bool:
        """Whether every check passed."""
        return all(check.is_passed for check in self.checks)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the checks, those that failed first."""
        return tuple(check.sentence for check in sorted(self.checks, key=lambda check: check.is_passed))


def judge(rows: "JudgedRows", challenger: "Floats", champion: "Floats | None", bounds: "GateBounds") -> Verdict:
    """Judge a challenger against the bounds, and against the champion or, without one, ignorance.

    Parameters
    ----------
    rows
        The judged rows; neither model has learned from them.
    challenger, champion
        Probabilities of each on these rows, (rows, classes); None if there is no champion.

    A difference is refused when the 95 % interval of its paired bootstrap over groups lies below zero, or when the
    point estimate is lower than the bounds allow.
    """
    figures = estimate_metrics(rows.tally(challenger), rows.classes).values
    checks = [_check_floor(figures["macro_f1"], bounds), _check_calibration(figures["ece"], bounds)]
    if champion is None:
        checks.append(_check_ignorance(rows, figures["macro_f1"]))
    else:
        checks.append(_check_champion(rows, challenger, champion, bounds))
        checks.extend(_check_slices(rows, challenger, champion, bounds))
    return Verdict(tuple(checks))


def compare_macro_f1(rows: "JudgedRows", challenger: "Floats", champion: "Floats") -> Estimate:
    """Macro-F1 of the challenger minus the champion's, with the interval of its paired bootstrap over groups."""
    tallies = rows.tally(challenger), rows.tally(champion)
    ours, theirs = (float(compute_metrics(one.sum(axis=0), rows.classes)["macro_f1"]) for one in tallies)
    drawn = [compute_metrics(resample_groups(one), rows.classes)["macro_f1"] for one in tallies]
    return build_estimate(ours - theirs, drawn[0] - drawn[1])


def _check_floor(macro_f1: Estimate, bounds: "GateBounds") -> Check:
    is_passed = macro_f1.value >= bounds.min_macro_f1
    relation = "at least" if is_passed else "below"
    sentence = f"Macro-F1 {_show(macro_f1)} is {relation} the floor of {bounds.min_macro_f1:.3f}."
    return Check("floor", is_passed, sentence)


def _check_calibration(ece: Estimate, bounds: "GateBounds") -> Check:
    is_passed = ece.value <= bounds.max_ece
    relation = "at most" if is_passed else "above"
    sentence = f"Calibration error {_show(ece)} is {relation} the bound of {bounds.max_ece:.3f}."
    return Check("calibration", is_passed, sentence)


def _check_ignorance(rows: "JudgedRows", macro_f1: Estimate) -> Check:
    """Whether a first model does better than two that know nothing; guessing by frequency reaches 1 / classes."""
    majority, guessing = _measure(rows, build_majority(rows)), 1 / len(rows.classes)
    is_passed = macro_f1.low > max(majority, guessing)
    sentence = (
        f"There is no champion; macro-F1 {_show(macro_f1)} {'lies' if is_passed else 'does not lie'} above "
        f"{majority:.3f}, which always saying {rows.classes[rows.majority]!r} reaches, and {guessing:.3f}, which "
        "guessing reaches."
    )
    return Check("ignorance", is_passed, sentence)


def _check_champion(rows: "JudgedRows", challenger: "Floats", champion: "Floats", bounds: "GateBounds") -> Check:
    difference = compare_macro_f1(rows, challenger, champion)
    is_passed = difference.high >= 0 and difference.value >= -bounds.max_loss
    sentence = (
        f"Macro-F1 {_measure(rows, challenger):.3f} against the champion's {_measure(rows, champion):.3f} on the same "
        f"{len(rows.labels):,} rows of {rows.group_count:,} groups: difference {_show(difference, sign='+')}; "
        f"a loss of {bounds.max_loss:.3f} is allowed, unless its interval lies below zero."
    )
    return Check("champion", is_passed, sentence)


def _check_slices(
    rows: "JudgedRows", challenger: "Floats", champion: "Floats", bounds: "GateBounds"
) -> Iterator[Check]:
    for name, is_in in rows.slices.items():
        count = int(is_in.sum())
        if count < bounds.min_slice_rows:
            sentence = f"Slice {name!r}: {count} rows, not judged with fewer than {bounds.min_slice_rows}."
            yield Check(f"slice {name}", is_passed=True, sentence=sentence)
            continue
        ours, theirs = _measure(rows, challenger, is_in), _measure(rows, champion, is_in)
        sentence = (
            f"Slice {name!r}: macro-F1 {ours:.3f} against {theirs:.3f} on {count:,} rows; "
            f"a loss of {bounds.max_slice_loss:.3f} is allowed."
        )
        yield Check(f"slice {name}", ours - theirs >= -bounds.max_slice_loss, sentence)


def _measure(rows: "JudgedRows", probabilities: "Floats", is_in: "NDArray[np.bool_] | None" = None) -> float:
    return float(compute_metrics(rows.tally(probabilities, is_in).sum(axis=0), rows.classes)["macro_f1"])


def _show(estimate: Estimate, sign: str = "") -> str:
    low, high = f"{estimate.low:{sign}.3f}", f"{estimate.high:{sign}.3f}"
    return f"{estimate.value:{sign}.3f} (95 % interval {low} to {high})"
