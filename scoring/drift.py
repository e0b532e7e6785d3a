"""Whether the newest comments and predictions still look like those the model was judged on.

Belongs here: comparing two samples column by column with Evidently, whose objects become ours at the
door, and its HTML page. Not here: drawing samples, storing checks, alarms over several windows (`alarm`), nulls.

Distances, not p-values: on thousands of rows every harmless difference is "significant" (Evidently,
https://www.evidentlyai.com/blog/data-drift-detection-large-datasets). `wasserstein` for numbers, over the
reference's standard deviation: for a pure shift it is Cohen's d, and 0.2 is his small effect (*Statistical
Power Analysis*, 1988). `jensenshannon` for classes, and for numbers without deviation in the reference: 0 to
sqrt(ln 2) = 0.83, with two classes about d / 2.8 while small. Distances carry sampling noise, hence
`MIN_VALUES`: of 1,000 pairs of 500 rows without drift at most 15 reached these thresholds (normal, beta,
Poisson, log-normal, rare flags). Tails as heavy as those of likes stay noisy: pass their logarithm.

Nothing goes out: Evidently reports usage only from its UI and collector services. The page (4 MB) carries
its scripts, font and data, and loads nothing; a button of its charts links to plotly.com.
"""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_repo.errors import BadData

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Kind = Literal["data", "prediction"]
THRESHOLDS: Final = {"wasserstein": 0.2, "jensenshannon": 0.1}
MIN_VALUES: Final = 500  # that a column needs in each window
ALARM_SHARE: Final = 0.3  # of the compared features


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
    """One column compared between two windows; rows are those with a value."""

    column: str
    kind: Kind
    method: str  # Evidently's name of the distance
    score: float  # finite, 0 or greater
    threshold: float
    is_drifted: bool  # score >= threshold
    reference_rows: int
    current_rows: int


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A check for each column that could be compared, features first; a reason for each that could not."""

    checks: tuple[DriftCheck, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def drifted(self) -> tuple[str, ...]:
        """The columns that drifted, in the order of the checks."""
        return tuple(check.column for check in self.checks if check.is_drifted)

    @property
    def drifted_feature_share(self) -> float:
        """Drifted over compared features, 0 to 1; 0 when none could be compared."""
        verdicts = [check.is_drifted for check in self.checks if check.kind == "data"]
        return sum(verdicts) / len(verdicts) if verdicts else 0.0

    @property
    def is_violated(self) -> bool:
        """True when any prediction drifted, or at least `ALARM_SHARE` of the compared features."""
        predictions = [check.is_drifted for check in self.checks if check.kind == "prediction"]
        return any(predictions) or self.drifted_feature_share >= ALARM_SHARE


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


def _build_metrics(reference: "pd.DataFrame", predictions: list[str]) -> list[Any]:
    """Evidently's table of the features, its verdict by our alarm share, and a section per prediction."""
    from evidently.metrics import ValueDrift  # noqa: PLC0415 - the import takes 10 s
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - the same

    varied = reference.select_dtypes("number").apply(lambda values: values.min() < values.max())
    methods = {name: "wasserstein" if varied.get(name) else "jensenshannon" for name in reference}
    thresholds = {name: THRESHOLDS[method] for name, method in methods.items()}
    features = [name for name in reference if name not in predictions]
    table = DataDriftPreset(
        columns=features, drift_share=ALARM_SHARE, per_column_method=methods, per_column_threshold=thresholds
    )
    sections = [ValueDrift(column=it, method=methods[it], threshold=thresholds[it]) for it in predictions]
    return [table, *sections] if features else sections


def _run_evidently(reference: "pd.DataFrame", current: "pd.DataFrame", *, predictions: list[str]) -> Any:
    # Evidently's source: deprecated names of numpy and litestar, and "\d" in a plain string.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        warnings.simplefilter("ignore", SyntaxWarning)
        # A constant's correlations, and the root of a Jensen-Shannon divergence rounded below 0: taken as 0.
        warnings.filterwarnings("ignore", "invalid value encountered in (divide|sqrt)", RuntimeWarning)
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - the import takes 10 s

        numeric, categorical = (list(reference.select_dtypes(dtype)) for dtype in ("number", "object"))
        definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
        windows = [Dataset.from_pandas(it, data_definition=definition) for it in (current, reference)]
        return Report(_build_metrics(reference, predictions)).run(*windows)


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


def _replace_page(path: "Path", html: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.write_text(html, encoding="utf-8")
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def check_drift(
    reference: "pd.DataFrame", current: "pd.DataFrame", *, columns: DriftColumns, report_path: "Path"
) -> DriftReport:
    """The drift of each column from the reference window to the current one, and an HTML page of it.

    Parameters
    ----------
    reference, current
        One row per scored comment, some thousand of them, in any order; nulls and infinities are no values.
    report_path
        Replaced whole: a reader sees the old page or the new one. Its folder is made.

    Raises
    ------
    BadData
        A window has no rows, lacks a column, or holds no numbers where it should.
    """
    reference = _clean_window(reference, columns, window="reference")
    current = _clean_window(current, columns, window="current")
    skipped = {str(it): why for it in reference if (why := _skip_reason(reference[it], current[it]))}
    reference, current = reference.drop(columns=skipped), current.drop(columns=skipped)
    predictions = [name for name in reference if name in columns.predictions]
    snapshot = _run_evidently(reference, current, predictions=predictions)
    _replace_page(report_path, snapshot.get_html_str(as_iframe=False))
    checks = _read_checks(snapshot, reference, current=current, predictions=predictions)
    return DriftReport(tuple(checks), skipped)
