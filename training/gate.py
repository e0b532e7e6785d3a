"""The gate: whether a challenger may become champion, and why, in sentences.

Pure: probabilities on the same judged rows and the bounds of the spec in, a verdict out. What follows from it, in the
ledger and the registry, is for others to do; how often it errs is measured by `tests.benchmarks.gate_power`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.difference import adjust_holm, compare_macro_f1
from training.evaluate import build_majority
from training.metrics import Estimate, estimate_metrics

if TYPE_CHECKING:
    from training.cost import Cost
    from training.difference import Difference
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

    def add(self, check: Check) -> "Verdict":
        """The verdict with one check more."""
        return Verdict((*self.checks, check))


def judge(
    rows: "JudgedRows",
    challenger: "Floats",
    champion: "Floats | None",
    bounds: "GateBounds",
    *,
    word_list: "Floats | None" = None,
    cost: "Cost | None" = None,
) -> Verdict:
    """Judge a challenger against the bounds, and against the champion or, without one, models that know little.

    Parameters
    ----------
    rows
        The judged rows; no model has learned from them.
    challenger, champion, word_list
        Probabilities of each on these rows, (rows, classes); None if there is none.
    cost
        What the challenger costs; not judged if None.
    """
    figures = estimate_metrics(rows.tally(challenger), rows.classes).values
    checks = [_check_floor(figures["macro_f1"], bounds), _check_calibration(figures["ece"], bounds)]
    if cost is not None:
        checks.extend(_check_cost(cost, bounds))
    if champion is not None:
        checks.append(_check_champion(compare_macro_f1(rows, challenger, champion), bounds))
        checks.extend(_check_slices(rows, challenger, champion, bounds))
        return Verdict(tuple(checks))
    return Verdict((*checks, *_check_knowledge(rows, challenger, word_list, bounds)))


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


def _check_cost(cost: "Cost", bounds: "GateBounds") -> Iterator[Check]:
    seconds, most = cost.seconds_per_1000_rows, bounds.max_seconds_per_1000_rows
    relation = "at most" if seconds <= most else "more than"
    sentence = f"It takes {seconds:.3f} s of processor time to score 1,000 rows, {relation} the {most:.3f} s allowed."
    yield Check("latency", seconds <= most, sentence)
    size, largest = cost.file_bytes / 1e6, bounds.max_file_bytes / 1e6
    relation = "at most" if size <= largest else "more than"
    yield Check("size", size <= largest, f"Its file has {size:.1f} MB, {relation} the {largest:.1f} MB allowed.")


def _check_knowledge(
    rows: "JudgedRows", challenger: "Floats", word_list: "Floats | None", bounds: "GateBounds"
) -> Iterator[Check]:
    """Whether a first model knows more than models that know little; guessing reaches 1 / classes at best."""
    macro_f1 = estimate_metrics(rows.tally(challenger), rows.classes).values["macro_f1"]
    guessed = 1 / len(rows.classes)
    relation = "above" if macro_f1.low > guessed else "not surely above"
    sentence = f"There is no champion; macro-F1 {_show(macro_f1)} is {relation} {guessed:.3f}, that of guessing."
    yield Check("guessing", macro_f1.low > guessed, sentence)
    majority = compare_macro_f1(rows, challenger, build_majority(rows))
    yield _check_baseline("majority", f"always saying {rows.classes[rows.majority]!r}", majority, bounds)
    if word_list is not None:
        listed = compare_macro_f1(rows, challenger, word_list)
        yield _check_baseline("word list", "a word list learned from the same rows", listed, bounds)


def _check_baseline(name: str, what: str, difference: "Difference", bounds: "GateBounds") -> Check:
    p = difference.compute_p_worse(0, bounds.level)
    is_passed = p <= bounds.level
    sentence = (
        f"Macro-F1 {difference.ours:.3f} is {'above' if is_passed else 'not surely above'} the {difference.theirs:.3f} "
        f"of {what}: difference {_show(difference.estimate, sign='+')}, {_show_p(p, bounds)}."
    )
    return Check(name, is_passed, sentence)


def _check_champion(difference: "Difference", bounds: "GateBounds") -> Check:
    """Non-inferiority: passed if a loss of as much as the margin is ruled out."""
    p = difference.compute_p_worse(bounds.max_loss, bounds.level)
    is_passed = p <= bounds.level
    sentence = (
        f"Macro-F1 {difference.ours:.3f} against the champion's {difference.theirs:.3f} on the same "
        f"{difference.rows:,} rows of {difference.groups:,} groups: difference {_show(difference.estimate, sign='+')}; "
        f"a loss of {bounds.max_loss:.3f} is {'' if is_passed else 'not '}ruled out, {_show_p(p, bounds)}."
    )
    return Check("champion", is_passed, sentence)


def _check_slices(
    rows: "JudgedRows", challenger: "Floats", champion: "Floats", bounds: "GateBounds"
) -> Iterator[Check]:
    """Whether no slice is surely worse by more than its margin, at a level that holds for all slices together.

    The burden of proof is the other way round than for all rows: on a slice of a few hundred rows even an equal
    model could not prove that it is not worse.
    """
    counts = {name: int(is_in.sum()) for name, is_in in rows.slices.items()}
    judged = [name for name in counts if counts[name] >= bounds.min_slice_rows]
    differences = [compare_macro_f1(rows, challenger, champion, rows.slices[name]) for name in judged]
    p_values = adjust_holm([one.compute_p_not_worse(bounds.max_slice_loss, bounds.level) for one in differences])
    for name, difference, p in zip(judged, differences, p_values, strict=True):
        yield _check_slice(name, difference, p, bounds)
    few = ", ".join(f"{name} ({count})" for name, count in counts.items() if name not in judged)
    if few:
        sentence = f"Slices not judged, with fewer than {bounds.min_slice_rows} rows: {few}."
        yield Check("small slices", is_passed=True, sentence=sentence)


def _check_slice(name: str, difference: "Difference", p: float, bounds: "GateBounds") -> Check:
    is_passed = p > bounds.level
    sentence = (
        f"Slice {name!r}: macro-F1 {difference.ours:.3f} against {difference.theirs:.3f} on {difference.rows:,} rows, "
        f"difference {_show(difference.estimate, sign='+')}; {'not surely' if is_passed else 'surely'} worse by more "
        f"than {bounds.max_slice_loss:.3f}, {_show_p(p, bounds)} for all slices together."
    )
    return Check(f"slice {name}", is_passed, sentence)


def _show(estimate: Estimate, sign: str = "") -> str:
    low, high = f"{estimate.low:{sign}.3f}", f"{estimate.high:{sign}.3f}"
    return f"{estimate.value:{sign}.3f} (95 % interval {low} to {high})"


def _show_p(p: float, bounds: "GateBounds") -> str:
    return f"p = {p:.3f} at a level of {bounds.level:.2f}"
