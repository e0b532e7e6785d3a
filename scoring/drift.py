"""Whether the newest comments and predictions still look like those the model was judged on.

Belongs here: comparing two samples column by column with Evidently, whose objects become ours at the
door, and its HTML page; the share of nulls. Not here: drawing samples (`samples`), thresholds of permuted history
(`thresholds`), storing checks, alarms over several windows (`alarm`).

Distances, not p-values: on thousands of rows every harmless difference is "significant" (Evidently,
https://www.evidentlyai.com/blog/data-drift-detection-large-datasets). `wasserstein` for numbers, over the
reference's standard deviation: for a pure shift it is Cohen's d, and 0.2 is his small effect (*Statistical
Power Analysis*, 1988). `jensenshannon` for classes, and for numbers without deviation in the reference: 0 to
sqrt(ln 2) = 0.83, with two classes about d / 2.8 while small.

A column drifts if its distance is rarer than history allows, and large enough to matter: the threshold is the greater
of what permuted history says and of `SMALLEST`, half of a small effect. Where there is too little history,
`THRESHOLDS` are a small effect, and the window is odd if a prediction or three features in ten drift: how often that is
a false alarm is not known then, and `MIN_VALUES` keeps noise small: of 1,000 pairs of 500 rows without drift at most 15
reached these thresholds. Tails as heavy as those of likes stay noisy: pass their logarithm.

Nothing goes out: Evidently reports usage only from its UI and collector services. The page (4 MB) carries
its scripts, font and data, and loads nothing; a button of its charts links to plotly.com.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_repo.errors import BadData
from feature_repo.whole_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from scoring.thresholds import Rhythm

Kind = Literal["data", "prediction", "quality"]
PRELOADED: Final = ("evidently", "evidently.presets", "scipy.spatial.distance")  # what takes long to import
NULL_SHARE: Final = "null_share"
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

    `method` is Evidently's name of the distance, or null_share: how far the shares of nulls are apart.
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
        """What was compared: the column, or its nulls."""
        return f"{self.column} (nulls)" if self.kind == "quality" else self.column


@dataclass(frozen=True, slots=True)
class PastDays:
    """What thresholds are set from: the day of each row of the reference, how days may be dealt, and a rate.

    The rate is the share of quiet windows in which any column may seem to drift.
    """

    days: "NDArray[np.int64]"
    rhythm: "Rhythm"
    rate: float


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A check for each column that could be compared, features first; a reason for each that could not.

    It is calibrated if its thresholds are those of permuted history.
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


def _clean_window(frame: "pd.DataFrame", columns: DriftColumns, *, window: str) -> "pd.DataFrame":
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


def _choose_methods(reference: "pd.DataFrame") -> dict[str, str]:
    varied = reference.select_dtypes("number").apply(lambda values: values.min() < values.max())
    return {str(name): "wasserstein" if varied.get(name) else "jensenshannon" for name in reference}


def _set_thresholds(
    reference: "pd.DataFrame", methods: Mapping[str, str], with_nulls: list[str], past: PastDays | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Thresholds by column, of distances and of the shares of nulls."""
    # By name: a share of nulls is compared beside the values of the same column.
    compared = {name: (name, method) for name, method in methods.items()}
    compared |= {f"{name} (nulls)": (name, NULL_SHARE) for name in with_nulls}
    found = {name: THRESHOLDS[method] for name, (_, method) in compared.items()}
    if past:
        from scoring.thresholds import measure_columns, set_thresholds  # noqa: PLC0415 - SciPy takes a second

        distances = dict(measure_columns(reference, past.days, compared, past.rhythm.deal()))
        permuted = set_thresholds(distances, past.rate)
        found = {name: max(SMALLEST[method], permuted[name]) for name, (_, method) in compared.items()}
    return {name: found[name] for name in methods}, {name: found[f"{name} (nulls)"] for name in with_nulls}


def _build_metrics(
    methods: Mapping[str, str], thresholds: Mapping[str, float], predictions: list[str], share: float
) -> list[Any]:
    """Evidently's table of the features, its verdict by our share of them, and a section per prediction."""
    from evidently.metrics import ValueDrift  # noqa: PLC0415 - the import takes 10 s
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - the same

    features = [name for name in methods if name not in predictions]
    table = DataDriftPreset(
        columns=features, drift_share=share, per_column_method=dict(methods), per_column_threshold=dict(thresholds)
    )
    sections = [ValueDrift(column=it, method=methods[it], threshold=thresholds[it]) for it in predictions]
    return [table, *sections] if features else sections


def _run_evidently(reference: "pd.DataFrame", current: "pd.DataFrame", metrics: Callable[[], list[Any]]) -> Any:
    # Evidently's source: deprecated names of numpy and litestar, and "\d" in a plain string.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        warnings.simplefilter("ignore", SyntaxWarning)
        # A constant's correlations, and the root of a Jensen-Shannon divergence rounded below 0: taken as 0.
        warnings.filterwarnings("ignore", "invalid value encountered in (divide|sqrt)", RuntimeWarning)
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - the import takes 10 s

        numeric, categorical = (list(reference.select_dtypes(dtype)) for dtype in ("number", "object"))
        definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
        windows = [Dataset.from_pandas(it, data_definition=definition) for it in (current, reference)]
        return Report(metrics()).run(*windows)


def _read_checks(
    snapshot: Any, reference: "pd.DataFrame", *, current: "pd.DataFrame", predictions: list[str]
) -> Iterator[DriftCheck]:
    found = [it for it in snapshot.dict()["metrics"] if it["config"]["type"].endswith(":ValueDrift")]
    for metric in found:
        name, method, threshold = (metric["config"][key] for key in ("column", "method", "threshold"))
        score = 0.0 if math.isnan(metric["value"]) else float(metric["value"])
        rows = int(reference[name].count()), int(current[name].count())
        kind: Kind = "prediction" if name in predictions else "data"
        yield DriftCheck(name, kind, method, score, threshold, score >= threshold, *rows)


def _check_nulls(
    reference: "pd.DataFrame", current: "pd.DataFrame", thresholds: Mapping[str, float]
) -> Iterator[DriftCheck]:
    for name, threshold in thresholds.items():
        apart = abs(float(current[name].isna().mean() - reference[name].isna().mean()))
        yield DriftCheck(
            name, "quality", NULL_SHARE, apart, threshold, apart >= threshold, len(reference), len(current)
        )


def check_drift(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    *,
    columns: DriftColumns,
    report_path: "Path",
    past: PastDays | None = None,
) -> DriftReport:
    """The drift of each column from the reference window to the current one, and an HTML page of it.

    Parameters
    ----------
    reference, current
        One row per scored comment, some thousand of them, in any order; infinities are no values, as nulls are.
    report_path
        Replaced whole: a reader sees the old page or the new one. Its folder is made.
    past
        The days of the reference's rows, to set the thresholds from; None if there are too few of them.

    Raises
    ------
    BadData
        A window has no rows, lacks a column, or holds no numbers where it should.
    """
    reference = _clean_window(reference, columns, window="reference")
    current = _clean_window(current, columns, window="current")
    enough = min(len(reference), len(current)) >= MIN_VALUES
    with_nulls = [str(it) for it in reference if enough and (reference[it].hasnans or current[it].hasnans)]
    skipped = {str(it): why for it in reference if (why := _skip_reason(reference[it], current[it]))}
    compared, newest = reference.drop(columns=skipped), current.drop(columns=skipped)
    methods = _choose_methods(compared)
    thresholds, of_nulls = _set_thresholds(reference, methods, with_nulls, past)
    predictions = [name for name in methods if name in columns.predictions]
    # A column that history says nothing strange of is enough: the verdict of the page is that of the report.
    share = 1 / max(len(methods) - len(predictions), 1) if past else ALARM_SHARE
    snapshot = _run_evidently(compared, newest, lambda: _build_metrics(methods, thresholds, predictions, share))
    report_path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(report_path, snapshot.get_html_str(as_iframe=False))
    checks = _read_checks(snapshot, compared, current=newest, predictions=predictions)
    nulls = _check_nulls(reference, current, of_nulls)
    return DriftReport((*checks, *nulls), skipped, past is not None)
