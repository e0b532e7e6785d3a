"""What drift is: which columns can be compared, how far apart they are, and from where on it counts.

Kernel: two samples in, checks out. Not here: Evidently and its page (`drift`), thresholds of permuted days
(`thresholds`), the newest day by itself (`newest_day`), drawing samples (`samples`), alarms over several windows
(`alarm`).

Distances, not p-values: on thousands of rows every harmless difference is "significant" (Evidently,
https://www.evidentlyai.com/blog/data-drift-detection-large-datasets). `wasserstein` for numbers, over the
reference's standard deviation: for a pure shift it is Cohen's d, and 0.2 is his small effect (*Statistical
Power Analysis*, 1988). `jensenshannon` for classes, and for numbers without deviation in the reference: 0 to
sqrt(ln 2) = 0.83, with two classes about d / 2.8 while small.

A column drifts if its distance is rarer than history allows, and large enough to matter: the threshold is the greater
of what permuted days say and of `SMALLEST`, half of a small effect. Where there is too little history,
`THRESHOLDS` are a small effect, and the window is odd if a prediction or three features in ten drift: how often that is
a false alarm is not known then, and `MIN_VALUES` keeps noise small: of 1,000 pairs of 500 rows without drift at most 15
reached these thresholds. Tails as heavy as those of likes stay noisy: pass their logarithm.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from feature_repo.errors import BadData
from scoring.newest_day import judge_columns
from scoring.thresholds import Rhythm, measure_columns, set_thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["data", "prediction", "quality", "day", "predicted day"]
NULL_SHARE: Final = "null_share"
NEWEST_DAY: Final = "newest_day"
NEWEST_SHARE: Final = 0.2  # of the rate: Student's bounds hardly move with it, those of a few deals do
PREDICTED: Final = frozenset[Kind]({"prediction", "predicted day"})
_SUFFIXES: Final[dict[Kind, str]] = {
    "quality": " (nulls)",
    "day": " (newest day)",
    "predicted day": " (newest day)",
}
THRESHOLDS: Final = {"wasserstein": 0.2, "jensenshannon": 0.1, NULL_SHARE: 0.1}
SMALLEST: Final = {"wasserstein": 0.1, "jensenshannon": 0.05, NULL_SHARE: 0.05}
MIN_VALUES: Final = 500  # that a column needs in each window
ALARM_SHARE: Final = 0.3  # of the compared features, where history says nothing


@dataclass(frozen=True, slots=True)
class DriftColumns:
    """What to compare; a categorical column holds classes, never text, for its values go into the page."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    predictions: tuple[str, ...] = ("label", "confidence")  # those of them that the model says

    def __post_init__(self) -> None:
        if unknown := sorted({*self.predictions} - {*self.numeric, *self.categorical}):
            raise BadData(f"Expected predictions among the columns, found others: {unknown}. Hint: add them.")


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """One column compared between two windows; rows are those with a value, of a share of nulls all.

    `method` is Evidently's name of the distance, or null_share: how far the shares of nulls are apart, or newest_day:
    how far the newest day lies off the days before it.
    """

    column: str
    kind: Kind
    method: str
    score: float  # finite, 0 or greater
    threshold: float
    is_drifted: bool  # score >= threshold
    reference_rows: int
    current_rows: int

    @property
    def name(self) -> str:
        """What was compared: the column, its nulls, or its newest day."""
        return self.column + _SUFFIXES.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class PastDays:
    """What thresholds are set from: the day of each row, reference first, how days may be dealt, and a rate.

    The rate is the share of quiet windows in which any column may seem to drift, in the window or on the newest day.
    """

    days: "NDArray[np.int64]"
    rhythm: Rhythm
    rate: float


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A check for each column that could be compared, features first; a reason for each that could not.

    It is calibrated if its thresholds are those of permuted days.
    """

    checks: tuple[DriftCheck, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    is_calibrated: bool = False

    def drifted(self) -> tuple[str, ...]:
        """The names of what drifted, in the order of the checks."""
        return tuple(check.name for check in self.checks if check.is_drifted)

    @property
    def drifted_feature_share(self) -> float:
        """Drifted over compared features, 0 to 1; 0 when none could be compared."""
        verdicts = [check.is_drifted for check in self.checks if check.kind == "data"]
        return sum(verdicts) / len(verdicts) if verdicts else 0.0

    @property
    def has_drifted_predictions(self) -> bool:
        """Whether anything that the model says drifted."""
        return any(check.is_drifted for check in self.checks if check.kind in PREDICTED)

    @property
    def has_drifted_features(self) -> bool:
        """Whether comments drifted by what models are told of them; if that is not calibrated, `ALARM_SHARE` of it."""
        if not self.is_calibrated:
            return self.drifted_feature_share >= ALARM_SHARE
        return any(check.is_drifted for check in self.checks if check.kind not in PREDICTED)

    @property
    def is_violated(self) -> bool:
        """Whether anything drifted; of features that are not calibrated, at least `ALARM_SHARE`."""
        others = [check.is_drifted for check in self.checks if self.is_calibrated or check.kind != "data"]
        return any(others) or self.drifted_feature_share >= ALARM_SHARE


def _read_numbers(values: "pd.Series[Any]", window: str) -> "pd.Series[float]":
    try:
        return values.astype("float64").replace([math.inf, -math.inf], math.nan)
    except (TypeError, ValueError):
        raise BadData(
            f"Expected numbers in column {values.name!r} of the {window} window, found {values.dtype}. "
            "Hint: cast it in the sample's query, or list it as categorical."
        ) from None  # the cause quotes the value, which may be a comment


def _clean_window(frame: pd.DataFrame, columns: DriftColumns, *, window: str) -> pd.DataFrame:
    """The columns to compare, as floats or strings; what is no value is NaN or None."""
    names = [*columns.numeric, *columns.categorical]
    if missing := [name for name in names if name not in frame]:
        raise BadData(
            f"Expected {len(names)} columns in the {window} window, found {len(missing)} missing: "
            f"{missing[:5]}. Hint: select them in the sample's query, or do not list them."
        )
    if frame.empty:
        raise BadData(f"Expected rows in both windows, found 0 in the {window} window. Hint: widen it.")
    numbers = {name: _read_numbers(frame[name], window) for name in columns.numeric}
    classes = {name: frame[name].astype(object).map(str, na_action="ignore") for name in columns.categorical}
    return frame[names].assign(**numbers, **classes).reset_index(drop=True)


def _skip_reason(reference: "pd.Series[Any]", current: "pd.Series[Any]") -> str:
    if min(reference.count(), current.count()) < MIN_VALUES:
        return f"{reference.count()} and {current.count()} values in the windows, {MIN_VALUES} needed in each"
    distinct = {*reference.dropna(), *current.dropna()}
    return "one and the same value in both windows" if len(distinct) == 1 else ""


def _choose_methods(reference: pd.DataFrame) -> dict[str, str]:
    varied = reference.select_dtypes("number").apply(lambda values: values.min() < values.max())
    return {str(name): "wasserstein" if varied.get(name) else "jensenshannon" for name in reference}


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds by column, of distances and of the shares of nulls; and the distances, by the same names, if known."""

    distances: Mapping[str, float]
    nulls: Mapping[str, float]
    found: Mapping[str, float]


def _set_limits(
    windows: list[pd.DataFrame], methods: Mapping[str, str], with_nulls: list[str], past: PastDays | None
) -> Limits:
    # By name: a share of nulls is compared beside the values of the same column.
    compared = {name: (name, method) for name, method in methods.items()}
    compared |= {f"{name} (nulls)": (name, NULL_SHARE) for name in with_nulls}
    limits, found = {name: THRESHOLDS[method] for name, (_, method) in compared.items()}, {}
    if past:
        rows = pd.concat(windows, ignore_index=True)
        distances = dict(measure_columns(rows, past.days, compared, past.rhythm.deal()))
        permuted = set_thresholds(distances, past.rate * (1 - NEWEST_SHARE))
        limits = {name: max(SMALLEST[method], permuted[name]) for name, (_, method) in compared.items()}
        found = {name: float(some[0]) for name, some in distances.items()}
    nulls = {name: limits[f"{name} (nulls)"] for name in with_nulls}
    return Limits({name: limits[name] for name in methods}, nulls, found)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Both windows, cleaned; of the columns that can be compared the methods, and from where on it is drift."""

    reference: pd.DataFrame
    current: pd.DataFrame
    methods: Mapping[str, str]
    limits: Limits
    skipped: Mapping[str, str]


def prepare_windows(
    reference: pd.DataFrame, current: pd.DataFrame, columns: DriftColumns, past: PastDays | None
) -> Prepared:
    """Both windows cleaned; of the columns that can be compared the methods, and the thresholds."""
    reference = _clean_window(reference, columns, window="reference")
    current = _clean_window(current, columns, window="current")
    enough = min(len(reference), len(current)) >= MIN_VALUES
    with_nulls = [str(it) for it in reference if enough and (reference[it].hasnans or current[it].hasnans)]
    skipped = {str(it): why for it in reference if (why := _skip_reason(reference[it], current[it]))}
    methods = _choose_methods(reference.drop(columns=list(skipped)))
    limits = _set_limits([reference, current], methods, with_nulls, past)
    return Prepared(reference, current, methods, limits, skipped)


def detect_drift(
    reference: pd.DataFrame, current: pd.DataFrame, *, columns: DriftColumns, past: PastDays
) -> DriftReport:
    """What `check_drift` finds, without Evidently and its page: for whoever replays thousands of windows."""
    prepared = prepare_windows(reference, current, columns, past)
    reference, current, limits = prepared.reference, prepared.current, prepared.limits
    checks = []
    for name, method in prepared.methods.items():
        score, threshold = limits.found[name], limits.distances[name]
        rows = int(reference[name].count()), int(current[name].count())
        kind: Kind = "prediction" if name in columns.predictions else "data"
        checks.append(DriftCheck(name, kind, method, score, threshold, score >= threshold, *rows))
    nulls, newest = check_nulls(reference, current, limits.nulls), check_newest_day(prepared, columns, past)
    return DriftReport((*checks, *nulls, *newest), prepared.skipped, True)


def check_nulls(
    reference: pd.DataFrame, current: pd.DataFrame, thresholds: Mapping[str, float]
) -> Iterator[DriftCheck]:
    """Compare the shares of nulls of some columns."""
    for name, threshold in thresholds.items():
        apart = abs(float(current[name].isna().mean() - reference[name].isna().mean()))
        yield DriftCheck(
            name, "quality", NULL_SHARE, apart, threshold, apart >= threshold, len(reference), len(current)
        )


def check_newest_day(prepared: Prepared, columns: DriftColumns, past: PastDays) -> Iterator[DriftCheck]:
    """Compare the newest day of each column with the days before it."""
    rows = pd.concat([prepared.reference, prepared.current], ignore_index=True)
    newest = int((past.days == 0).sum())
    for name, off, threshold in judge_columns(rows, past.days, past.rate * NEWEST_SHARE):
        kind: Kind = "predicted day" if name in columns.predictions else "day"
        yield DriftCheck(name, kind, NEWEST_DAY, off, threshold, off >= threshold, len(rows) - newest, newest)
