"""The samples that are compared: of the newest window of scored comments, and of the reference before it.

Drawing them, and comparing them in a process of its own, belong here; what drift is belongs to `drift`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake
from feature_repo.ledger import read_peak_memory_mib
from feature_repo.tables.columns import BIGINT, DOUBLE
from feature_repo.tables.features import COMMENT_FEATURES
from scoring.detection import DriftColumns, DriftReport, PastDays
from scoring.drift import check_drift
from scoring.thresholds import Rhythm, list_days

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE: Final = Path(__file__).with_name("sample.sql")
_EXTENT: Final = Path(__file__).with_name("extent.sql")
# Four times the current window: long enough to be typical, short enough to follow the seasons.
_REFERENCE_WINDOWS: Final = 4
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared: the window's end and days, rows of its sample, the false-alarm rate, and the page.

    `memory_limit` is DuckDB's while it draws.
    """

    model: str
    window_to: datetime
    days: int
    sample_rows: int
    rate: float
    report_path: Path
    memory_limit: str

    @property
    def window_from(self) -> datetime:
        """Start of the current window, and end of the reference."""
        return self.window_to - timedelta(days=self.days)

    @property
    def reference_from(self) -> datetime:
        """Start of the reference window."""
        return self.window_from - timedelta(days=self.days * _REFERENCE_WINDOWS)


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it: the report, when the reference begins in fact, and the greatest memory it took."""

    drift: DriftReport
    reference_from: datetime
    peak_memory_mib: float


@dataclass(frozen=True, slots=True)
class _Extent:
    current_rows: int
    reference_rows: int
    reference_days: int


def compare_windows(lake: Lake, asked: Comparison) -> Compared:
    """Draw both windows and compare them; raises `BadData` if either holds no scored comments.

    Both are drawn at one rate, so that a day of the reference says as much as one of the current window.
    """
    try:
        with read_lake(replace(lake, memory_limit=asked.memory_limit)) as connection:
            extent = _read_extent(connection, asked)
            reference_from = asked.window_from - extent.reference_days * _DAY
            share = asked.days / extent.reference_days
            rows = min(asked.sample_rows, extent.current_rows, max(round(extent.reference_rows * share), 1))
            current = draw_sample(connection, asked.model, asked.window_from, asked.window_to, rows)
            reference = draw_sample(connection, asked.model, reference_from, asked.window_from, round(rows / share))
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from None
    report = compare_samples(reference, current, asked, extent.reference_days)
    return Compared(report, reference_from, read_peak_memory_mib())


def compare_samples(
    reference: "pd.DataFrame", current: "pd.DataFrame", asked: Comparison, reference_days: int
) -> DriftReport:
    """Compare two samples, with thresholds of their days if there are enough of them."""
    rhythm = Rhythm(asked.days, reference_days)
    past = None
    if rhythm.can_tell(asked.rate) and len(reference):
        end = np.datetime64(asked.window_to.replace(tzinfo=None), "us")
        seen = [frame["observed_at"].to_numpy(dtype="datetime64[us]") for frame in (reference, current)]
        days = list_days(np.concatenate(seen), end)
        past = PastDays(days, rhythm, asked.rate)
    return check_drift(reference, current, columns=COLUMNS, report_path=asked.report_path, past=past)


def read_end(connection: "duckdb.DuckDBPyConnection", model: str) -> datetime:
    """Read where the newest window of scored comments ends (exclusive, UTC)."""
    current = quote_name(f"scores.{model}_current")
    row = connection.execute(
        f"select max(observed_at) from {current} inner join raw.comments using (comment_id, text_id)"  # noqa: S608
    ).fetchone()
    if row is None or row[0] is None:
        raise BadData(f"there are no scored comments of {model} to watch; run `scorelake score {model}` first")
    end: datetime = row[0]
    return end + timedelta(microseconds=1)


def _read_extent(connection: "duckdb.DuckDBPyConnection", asked: Comparison) -> _Extent:
    sql = _EXTENT.read_text().replace("{current}", quote_name(f"scores.{asked.model}_current"))
    row = connection.execute(
        sql,
        {"reference_from": asked.reference_from, "window_from": asked.window_from, "window_to": asked.window_to},
    ).fetchone()
    current, reference, first_at = row or (0, 0, None)
    # A lake that is younger than the reference is long has a shorter one.
    days = ceil((asked.window_from - first_at) / _DAY) if reference else asked.days * _REFERENCE_WINDOWS
    return _Extent(current, reference, min(days, asked.days * _REFERENCE_WINDOWS))


def _list_numeric_features() -> tuple[str, ...]:
    excluded = {"ingest_seq"}
    return tuple(
        name
        for name, column in COMMENT_FEATURES.columns.items()
        if column.dtype.type in (BIGINT, DOUBLE) and name not in excluded
    )


COLUMNS: Final = DriftColumns(numeric=(*_list_numeric_features(), "confidence"), categorical=("label",))


def draw_sample(
    connection: "duckdb.DuckDBPyConnection", model: str, window_from: datetime, window_to: datetime, rows: int
) -> "pd.DataFrame":
    """Draw at most so many scored comments that were seen in a window: what is watched of them, and when (UTC)."""
    features = ",\n    ".join(map(_select_feature, _list_numeric_features()))
    sql = (
        _SAMPLE.read_text().replace("{current}", quote_name(f"scores.{model}_current")).replace("{features}", features)
    )
    return connection.execute(sql, {"window_from": window_from, "window_to": window_to, "rows": rows}).df()


def _select_feature(name: str) -> str:
    # Counts have heavy tails, in which a distance is noise at any sample size; their logarithms have not.
    column = f"features.{quote_name(name)}"
    return f"ln(1 + {column}) as {quote_name(name)}" if name.endswith("_count") else column
