"""Whether the newest comments and predictions still look like those the model was judged on.

Belongs here: comparing two samples column by column with Evidently, whose objects become ours at the
door, and its HTML page. Not here: what is compared, and from where on it is drift (`detection`), drawing samples
(`samples`), storing checks, alarms over several windows (`alarm`).

Nothing goes out: Evidently reports usage only from its UI and collector services. The page (4 MB) carries
its scripts, font and data, and loads nothing; a button of its charts links to plotly.com.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from feature_repo.whole_files import write_whole
from scoring.detection import (
    ALARM_SHARE,
    DriftCheck,
    DriftColumns,
    DriftReport,
    Kind,
    PastDays,
    check_newest_day,
    check_nulls,
    prepare_windows,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

PRELOADED: Final = ("evidently", "evidently.presets", "scipy.spatial.distance")  # what takes long to import


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
        The days of the rows, to set the thresholds from; None if there are too few of them.

    Raises
    ------
    BadData
        A window has no rows, lacks a column, or holds no numbers where it should.
    """
    prepared = prepare_windows(reference, current, columns, past)
    methods, limits = prepared.methods, prepared.limits
    predictions = [name for name in methods if name in columns.predictions]
    # What history says to be strange is enough in one column: the verdict of the page is that of the report.
    share = 1 / max(len(methods) - len(predictions), 1) if past else ALARM_SHARE
    reference, current = prepared.reference, prepared.current
    known = reference[list(methods)], current[list(methods)]
    snapshot = _run_evidently(*known, lambda: _build_metrics(methods, limits.distances, predictions, share))
    report_path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(report_path, snapshot.get_html_str(as_iframe=False))
    checks = _read_checks(snapshot, known[0], current=known[1], predictions=predictions)
    nulls = check_nulls(reference, current, limits.nulls)
    newest = check_newest_day(prepared, columns, past) if past else ()
    return DriftReport((*checks, *nulls, *newest), prepared.skipped, past is not None)
