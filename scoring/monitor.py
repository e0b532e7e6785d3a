"""The step that compares the newest window of scored comments with the windows before it.

Drawing the samples and keeping the checks belong here; what drift is, and the report, belong to `drift`, when it is an
alarm to `alarm`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.tables.columns import BIGINT, DOUBLE
from feature_repo.tables.features import COMMENT_FEATURES
from scoring.alarm import Alarm, AlarmRule, WindowVerdict, judge_windows
from scoring.drift import DriftColumns, DriftReport, check_drift

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_SAMPLE: Final = Path(__file__).with_name("sample.sql")
# Four times the current window: long enough to be typical, short enough to follow the seasons.
_REFERENCE_WINDOWS: Final = 4
_RULE: Final = AlarmRule()
_WATCHED: Final = Path(__file__).with_name("watched.sql")
_CHECKS_READ: Final = 200  # far enough back to know when an alarm began


@dataclass(frozen=True, slots=True)
class MonitorReceipt:
    """What a drift check found: the windows compared, the report's file, and Evidently's values as ours.

    Parameters
    ----------
    is_violated
        Whether this window drifted.
    alarm
        What this window and those before it amount to.
    """

    run_id: str
    model: str
    reference_from: datetime
    window_from: datetime
    window_to: datetime
    report_path: Path
    drift: DriftReport
    is_violated: bool
    alarm: Alarm
    seconds: float


def monitor_drift(  # noqa: PLR0913 - two of them are settings with defaults
    lake: Lake,
    model: str,
    *,
    run_id: str,
    now: datetime,
    days: int = 7,
    sample_rows: int = 4_000,
    rule: AlarmRule = _RULE,
) -> MonitorReceipt:
    """Compare features and predictions of the newest `days` of scored comments with the four times before.

    The current window ends with the newest scored comment, so an import of old comments is judged on its
    own time. Writes one row per column to `monitoring.drift` and the report to `reports/`. Raises `BadData`
    if either window holds no scored comments.
    """
    started = perf_counter()
    with read_lake(lake) as connection:
        window_to = _read_end(connection, model)
        window_from = window_to - timedelta(days=days)
        reference_from = window_from - timedelta(days=days * _REFERENCE_WINDOWS)
        reference = _draw(connection, model, reference_from, window_from, sample_rows)
        current = _draw(connection, model, window_from, window_to, sample_rows)
    report_path = lake.home / "reports" / f"{run_id}.html"
    drift = check_drift(reference, current, columns=_COLUMNS, report_path=report_path)
    verdict = WindowVerdict(window_to, now, drift.is_violated)
    with read_lake(lake) as connection:
        alarm = judge_windows([verdict, *read_verdicts(connection, model)], rule)
    receipt = MonitorReceipt(
        run_id,
        model,
        reference_from,
        window_from,
        window_to,
        report_path,
        drift,
        drift.is_violated,
        alarm,
        perf_counter() - started,
    )
    _append_checks(lake, receipt, now)
    return receipt


def read_verdicts(connection: "duckdb.DuckDBPyConnection", model: str) -> tuple[WindowVerdict, ...]:
    """Read what the newest drift checks of a model said of their windows, the newest first."""
    rows = connection.execute(_WATCHED.read_text(), {"model": model, "checks": _CHECKS_READ}).fetchall()
    return tuple(WindowVerdict(*row) for row in rows)


def read_newest_observation(connection: "duckdb.DuckDBPyConnection") -> datetime | None:
    """Read when the newest comment was first seen (UTC); None if the sources did not tell that of any."""
    row = connection.execute("select max(observed_at) from raw.comments where not is_observed_at_imputed").fetchone()
    return row[0] if row else None


def _list_numeric_features() -> tuple[str, ...]:
    excluded = {"ingest_seq"}
    return tuple(
        name
        for name, column in COMMENT_FEATURES.columns.items()
        if column.dtype.type in (BIGINT, DOUBLE) and name not in excluded
    )


_COLUMNS: Final = DriftColumns(numeric=(*_list_numeric_features(), "confidence"), categorical=("label",))


def _read_end(connection: "duckdb.DuckDBPyConnection", model: str) -> datetime:
    current = quote_name(f"scores.{model}_current")
    row = connection.execute(
        f"select max(observed_at) from {current} inner join raw.comments using (comment_id, text_id)"  # noqa: S608
    ).fetchone()
    if row is None or row[0] is None:
        raise BadData(f"there are no scored comments of {model} to watch; run `scorelake score {model}` first")
    end: datetime = row[0]
    return end + timedelta(microseconds=1)


def _draw(
    connection: "duckdb.DuckDBPyConnection", model: str, window_from: datetime, window_to: datetime, rows: int
) -> "pd.DataFrame":
    features = ",\n    ".join(map(_select_feature, _list_numeric_features()))
    sql = (
        _SAMPLE.read_text().replace("{current}", quote_name(f"scores.{model}_current")).replace("{features}", features)
    )
    return connection.execute(sql, {"window_from": window_from, "window_to": window_to, "rows": rows}).df()


def _select_feature(name: str) -> str:
    # Counts have heavy tails, in which a distance is noise at any sample size; their logarithms have not.
    column = f"features.{quote_name(name)}"
    return f"ln(1 + {column}) as {quote_name(name)}" if name.endswith("_count") else column


def _append_checks(lake: Lake, receipt: MonitorReceipt, now: datetime) -> None:
    shared = (receipt.run_id, receipt.model, now, receipt.window_from, receipt.window_to)
    rows = [
        (
            *shared, check.column, check.kind, check.method, check.score, check.threshold, check.is_drifted,
            check.reference_rows, check.current_rows, receipt.report_path.name,
        )
        for check in receipt.drift.checks
    ]  # fmt: skip

    def append(connection: "duckdb.DuckDBPyConnection") -> None:
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into monitoring.drift values ({marks})", rows)  # noqa: S608 - marks only
        append_run(connection, _build_run(receipt, now))

    with write_lake(lake, purpose=f"monitor {receipt.model}") as connection:
        run_transaction(connection, append)


def _build_run(receipt: MonitorReceipt, now: datetime) -> Run:
    return Run(
        run_id=receipt.run_id,
        kind="monitor",
        model=receipt.model,
        started_at=now,
        ended_at=now + timedelta(seconds=receipt.seconds),
        rows_out=len(receipt.drift.checks),
        stage_seconds={"compare": receipt.seconds},
        details={
            "drifted": receipt.drift.drifted(),
            "is_alarm": receipt.alarm.is_on,
            "is_violated": receipt.is_violated,
            "window_to": receipt.window_to,
            "skipped": dict(receipt.drift.skipped),
        },
    )
