"""Drift between two windows: which column, by which distance, and when it is an alarm."""

import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.errors import BadData
from scoring.detection import DriftCheck, DriftColumns, DriftReport, Kind, PastDays, detect_drift
from scoring.drift import check_drift
from scoring.thresholds import Rhythm

pytestmark = pytest.mark.filterwarnings("error")  # also those of importing Evidently

COLUMNS = DriftColumns(numeric=("text_chars", "url_count", "confidence"), categorical=("label",))
NUMBERS = DriftColumns(numeric=("a",), categorical=(), predictions=())
CLASSES = DriftColumns(numeric=(), categorical=("a",), predictions=())


connections: list[str] = []


def record_connection(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "urllib.Request"}:
        connections.append(f"{event} {arguments}")


sys.addaudithook(record_connection)  # cannot be taken off again, hence only a list


@pytest.fixture(autouse=True)
def nothing_goes_out() -> Iterator[None]:
    """No test here, among them the one that imports Evidently, may ask for the network."""
    connections.clear()
    yield
    assert connections == []


def make_window(seed: int, rows: int = 1500, *, length: float = 1.0, positive: float = 0.3) -> pd.DataFrame:
    """Comments whose texts are `length` times the usual, of which a share is `positive`."""
    rng = np.random.default_rng(seed)
    share = [0.6 * (1 - positive), 0.4 * (1 - positive), positive]
    return pd.DataFrame(
        {
            "text_chars": np.floor(length * rng.lognormal(4, 0.7, rows)),
            "url_count": rng.poisson(0.2, rows),
            "confidence": rng.beta(5, 2, rows),
            "label": rng.choice(["neutral", "negative", "positive"], rows, p=share),
        }
    )


def make_check(column: str, kind: Kind, *, is_drifted: bool) -> DriftCheck:
    return DriftCheck(column, kind, "wasserstein", 0.3 if is_drifted else 0.0, 0.2, is_drifted, 500, 500)


def repeat(**counts: int) -> list[str]:
    return [value for value, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("features", "predictions", "share", "is_violated"),
    [
        ([], [], 0.0, False),
        ([0, 0, 0, 0], [0, 0], 0.0, False),
        ([1, 0, 0, 0], [0, 0], 0.25, False),
        ([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0], 0.3, True),
        ([1, 1, 0, 0], [], 0.5, True),
        ([0, 0, 0, 0], [0, 1], 0.0, True),
        ([], [1], 0.0, True),
    ],
)
def test_a_drifted_prediction_or_three_features_in_ten_are_an_alarm(
    *, features: list[int], predictions: list[int], share: float, is_violated: bool
) -> None:
    checks = (
        *(make_check("text_chars", "data", is_drifted=bool(drifted)) for drifted in features),
        *(make_check("label", "prediction", is_drifted=bool(drifted)) for drifted in predictions),
    )
    report = DriftReport(checks)
    assert (report.drifted_feature_share, report.is_violated) == (share, is_violated)


def test_what_drifted_is_told_apart_and_one_feature_is_enough_if_it_is_calibrated() -> None:
    checks = (
        *(make_check(f"{n}", "data", is_drifted=n == 0) for n in range(9)),
        make_check("label", "prediction", is_drifted=False),
    )
    for report, has_features in ((DriftReport(checks), False), (DriftReport(checks, {}, is_calibrated=True), True)):
        assert (report.has_drifted_features, report.has_drifted_predictions) == (has_features, False)
    day = make_check("label", "predicted day", is_drifted=True)
    report = DriftReport((*checks[1:], day), {}, is_calibrated=True)
    assert (report.has_drifted_features, report.has_drifted_predictions) == (False, True)


def test_drifted_names_the_columns_in_their_order() -> None:
    checks = (
        make_check("url_count", "data", is_drifted=True),
        make_check("text_chars", "data", is_drifted=False),
        make_check("label", "prediction", is_drifted=True),
    )
    assert DriftReport(checks).drifted() == ("url_count", "label")


def test_two_samples_of_the_same_comments_do_not_drift(tmp_path: Path) -> None:
    report = check_drift(make_window(1), make_window(2), columns=COLUMNS, report_path=tmp_path / "drift.html")
    assert [(it.column, it.kind, it.method, it.threshold) for it in report.checks] == [
        ("text_chars", "data", "wasserstein", 0.2),
        ("url_count", "data", "wasserstein", 0.2),
        ("confidence", "prediction", "wasserstein", 0.2),
        ("label", "prediction", "jensenshannon", 0.1),
    ]
    assert {(it.reference_rows, it.current_rows) for it in report.checks} == {(1500, 1500)}
    assert all(0 < it.score < it.threshold for it in report.checks)
    assert (report.drifted(), report.is_violated, report.skipped) == ((), False, {})


@pytest.mark.parametrize(
    ("current", "drifted"),
    [
        (make_window(2, length=1.5), ("text_chars",)),
        (make_window(2, positive=0.6), ("label",)),
        (make_window(2, length=1.5, positive=0.6), ("text_chars", "label")),
    ],
)
def test_the_shifted_column_is_named(current: pd.DataFrame, drifted: tuple[str, ...], tmp_path: Path) -> None:
    report = check_drift(make_window(1), current, columns=COLUMNS, report_path=tmp_path / "drift.html")
    assert report.drifted() == drifted


@pytest.mark.parametrize(
    ("columns", "reference", "current", "method", "score", "is_drifted"),
    [
        # half 0, half 1: deviation 0.5; everything 0.11 higher is 0.11 / 0.5
        (NUMBERS, [0, 1] * 250, [0.11, 1.11] * 250, "wasserstein", 0.22, True),
        (NUMBERS, [0, 1] * 250, [0.09, 1.09] * 250, "wasserstein", 0.18, False),
        # further or fewer rows of the same distribution change nothing
        (NUMBERS, [0, 1] * 500, [0.11, 1.11] * 300, "wasserstein", 0.22, True),
        # nulls and infinities are left out
        (NUMBERS, [None, 0, 1] * 250, [0.11, 1.11, float("inf")] * 250, "wasserstein", 0.22, True),
        # a constant reference has no deviation: (1/2 ln 4/3 + 1/4 ln 2/3 + 1/4 ln 2) ** 1/2
        (NUMBERS, [0] * 500, [0, 3] * 250, "jensenshannon", 0.4645, True),
        (NUMBERS, [0] * 500, [0] * 499 + [3], "jensenshannon", 0.0263, False),
        (CLASSES, repeat(x=500), repeat(x=250, y=250), "jensenshannon", 0.4645, True),
        # nothing in common: sqrt(ln 2)
        (CLASSES, repeat(x=500), repeat(y=500), "jensenshannon", 0.8326, True),
        (CLASSES, repeat(x=250, y=250), repeat(x=300, y=300), "jensenshannon", 0.0, False),
        # so close that scipy takes the root of a negative rounding error
        (CLASSES, repeat(x=7349, y=10091), repeat(x=6687, y=9182), "jensenshannon", 0.0, False),
    ],
)
def test_scores_are_those_worked_out_by_hand(
    *,
    columns: DriftColumns,
    reference: list[object],
    current: list[object],
    method: str,
    score: float,
    is_drifted: bool,
    tmp_path: Path,
) -> None:
    report = check_drift(
        pd.DataFrame({"a": reference}),
        pd.DataFrame({"a": current}),
        columns=columns,
        report_path=tmp_path / "drift.html",
    )
    check, *_ = report.checks
    assert (check.method, round(check.score, 4), check.is_drifted) == (method, score, is_drifted)


def test_columns_that_cannot_be_compared_are_skipped_with_a_reason(tmp_path: Path) -> None:
    rows = 600
    reference = make_window(1, rows).assign(
        empty=None, fixed=1, fixed_class="x", gone=1.5, rare=[1.0] * 499 + [float("nan")] * 101
    )
    current = make_window(2, rows).assign(empty=None, fixed=1, fixed_class="x", gone=float("nan"), rare=2.0)
    columns = DriftColumns(
        numeric=("text_chars", "empty", "fixed", "gone", "rare", "confidence"),
        categorical=("fixed_class", "label"),
    )
    report = check_drift(reference, current, columns=columns, report_path=tmp_path / "drift.html")
    assert [(check.name, check.score, check.is_drifted) for check in report.checks][3:] == [
        ("empty (nulls)", 0.0, False),
        ("gone (nulls)", 1.0, True),
        ("rare (nulls)", 101 / 600, True),
    ]
    assert [check.column for check in report.checks][:3] == ["text_chars", "confidence", "label"]
    assert (report.is_violated, report.is_calibrated) == (True, False)
    assert report.skipped == {
        "empty": "0 and 0 values in the windows, 500 needed in each",
        "fixed": "one and the same value in both windows",
        "gone": "600 and 0 values in the windows, 500 needed in each",
        "rare": "499 and 600 values in the windows, 500 needed in each",
        "fixed_class": "one and the same value in both windows",
    }


def test_small_windows_give_no_verdict_but_a_page(tmp_path: Path) -> None:
    page = tmp_path / "drift.html"
    report = check_drift(make_window(1, 20), make_window(2, 20, length=9), columns=COLUMNS, report_path=page)
    assert (report.checks, set(report.skipped), report.is_violated) == (
        (),
        {"text_chars", "url_count", "confidence", "label"},
        False,
    )
    assert page.exists()


def test_rows_count_values_and_types_of_the_database_are_taken(tmp_path: Path) -> None:
    nullable = pd.DataFrame(
        {
            "integer": pd.array([1, 2, None] * 300, dtype="Int64"),
            "boolean": pd.array([True, False, None] * 300, dtype="boolean"),
            "class": pd.Categorical(["x", "y", None] * 300),
            "flag": [True, False, None] * 300,
        },
        index=pd.date_range("2026-01-01", periods=900, tz="UTC"),
    )
    columns = DriftColumns(numeric=("integer", "boolean"), categorical=("class", "flag"), predictions=())
    report = check_drift(nullable, nullable, columns=columns, report_path=tmp_path / "drift.html")
    assert [(it.name, it.score, it.reference_rows, it.current_rows) for it in report.checks] == [
        *((name, 0.0, 600, 600) for name in ("integer", "boolean", "class", "flag")),
        *((f"{name} (nulls)", 0.0, 900, 900) for name in ("integer", "boolean", "class", "flag")),
    ]


def test_the_page_replaces_the_last_one_says_the_same_and_loads_nothing(tmp_path: Path) -> None:
    page = tmp_path / "reports" / "drift.html"
    page.parent.mkdir()
    page.write_text("the last one")
    current = make_window(2, length=1.5, positive=0.6)
    check_drift(make_window(1), current, columns=COLUMNS, report_path=page)
    html = page.read_text(encoding="utf-8")
    assert list(page.parent.iterdir()) == [page]
    assert re.findall(r"Drift in column '(\w+)'", html) == ["confidence", "label"]
    assert re.findall(r"Data drift (.*?)\. Drift detection method: (.*?)\.", html) == [
        ("not detected", "Wasserstein distance (normed)"),
        ("detected", "Jensen-Shannon distance"),
    ]
    assert "Dataset Drift is detected. Dataset drift detection threshold is 0.3" in html
    assert "Drift is detected for 50.0% of columns (1 out of 2)." in html
    assert "text_chars" in html
    assert not re.search(r"<(script|link|img|iframe)\s[^>]*(src|href)=.?https?:", html)


def test_an_unwritable_page_leaves_no_remains(tmp_path: Path) -> None:
    page = tmp_path / "drift.html"
    page.mkdir()
    window = pd.DataFrame({"a": [0, 1] * 250})
    with pytest.raises(IsADirectoryError, match=r"drift\.html"):
        check_drift(window, window, columns=NUMBERS, report_path=page)
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(
    ("reference", "current", "words"),
    [
        (
            make_window(1, 5).drop(columns=["label", "url_count"]),
            make_window(2, 5),
            r"Expected 4 columns in the reference window, found 2 missing: \['url_count', 'label'\]\. Hint:",
        ),
        (
            make_window(1, 5),
            make_window(2, 0),
            r"Expected rows in both windows, found 0 in the current window\. Hint: widen it",
        ),
        (
            make_window(1, 5),
            make_window(2, 5).assign(text_chars="what a song"),
            r"Expected numbers in column 'text_chars' of the current window, found object\. Hint: cast it",
        ),
        (
            make_window(1, 5).assign(confidence=pd.Timestamp("2026-01-01")),
            make_window(2, 5),
            r"Expected numbers in column 'confidence' of the reference window, found datetime64",
        ),
    ],
)
def test_bad_windows_are_refused_and_no_page_is_written(
    reference: pd.DataFrame, current: pd.DataFrame, words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadData, match=words):
        check_drift(reference, current, columns=COLUMNS, report_path=tmp_path / "drift.html")
    assert list(tmp_path.iterdir()) == []


def test_an_error_does_not_quote_the_text_of_a_comment(tmp_path: Path) -> None:
    window = make_window(1, 5).assign(text_chars="what a song")
    with pytest.raises(BadData, match="Expected numbers") as caught:
        check_drift(window, window, columns=COLUMNS, report_path=tmp_path / "drift.html")
    assert "what a song" not in "".join(traceback.format_exception(caught.value))


def test_a_prediction_outside_the_columns_is_refused() -> None:
    with pytest.raises(BadData, match=r"Expected predictions among the columns, found others: \['label'\]\. Hint: add"):
        DriftColumns(numeric=("confidence",), categorical=())


def test_importing_drift_does_not_import_evidently() -> None:
    code = "import scoring.drift, sys; print([name for name in sys.modules if name.startswith('evidently')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def make_days(seed: int, days: int, *, weekend: float = 1.0) -> tuple[pd.DataFrame, list[int]]:
    """Comments of so many days, of which two in seven are written at a weekend; and the day of each."""
    frames = [make_window(seed + day, 80, length=weekend if day % 7 < 2 else 1.0) for day in range(days)]
    return pd.concat(frames, ignore_index=True), [day for day, frame in enumerate(frames) for _ in range(len(frame))]


def split_days(days: int = 35, *, weekend: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame, PastDays]:
    rows, numbers = make_days(40, days, weekend=weekend)
    is_current = np.array(numbers) < 7
    order = [*np.flatnonzero(~is_current), *np.flatnonzero(is_current)]
    past = PastDays(np.array(numbers)[order], Rhythm(7, days - 7), 0.005)
    return rows[~is_current].reset_index(drop=True), rows[is_current].reset_index(drop=True), past


def test_the_detector_alone_finds_what_evidently_and_the_page_say(tmp_path: Path) -> None:
    reference, current, past = split_days()
    current["text_chars"] = current["text_chars"].where(current.index % 5 > 0)
    current["label"] = "positive"
    alone = detect_drift(reference, current, columns=COLUMNS, past=past)
    both = check_drift(reference, current, columns=COLUMNS, past=past, report_path=tmp_path / "drift.html")
    assert [one.name for one in both.checks] == [one.name for one in alone.checks]
    for ours, theirs in zip(alone.checks, both.checks, strict=True):
        assert (ours.method, ours.is_drifted) == (theirs.method, theirs.is_drifted)
        assert (ours.score, ours.threshold) == pytest.approx((theirs.score, theirs.threshold))
    newest = ("text_chars (newest day)", "label (newest day)")
    assert both.drifted() == ("label", "text_chars (nulls)", *newest)
    assert (both.is_violated, both.is_calibrated) == (True, True)


@pytest.mark.parametrize(("length", "drifted"), [(1.0, ()), (1.3, ("text_chars",))])
def test_a_weekly_wave_is_no_drift_and_one_column_is_enough_for_a_violation(
    length: float, drifted: tuple[str, ...]
) -> None:
    reference, current, past = split_days(weekend=2.0)
    current["text_chars"] *= length
    found = detect_drift(reference, current, columns=COLUMNS, past=past)
    assert (found.drifted(), found.is_violated) == (drifted, bool(drifted))
