"""The step that compares the newest window of scored comments with the windows before it, and counts what comes.

Keeping what was found belongs here. Drawing samples belongs to `samples`, what drift is, and the report, to `drift`,
what is counted to `volume` and `throughput`, when any of it is an alarm to `alarm`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from scoring.alarm import Alarm, AlarmRule, WindowVerdict, judge_windows
from scoring.apart import run_apart
from scoring.checks import FRESHNESS, Check, Usual, append_checks
from scoring.detection import DriftReport
from scoring.drift import PRELOADED
from scoring.samples import Compared, Comparison, compare_windows, read_end
from scoring.throughput import check_throughput
from scoring.volume import check_volume, read_daily_counts

if TYPE_CHECKING:
    import duckdb

_WATCHED: Final = Path(__file__).with_name("watched.sql")
_CHECKS_READ: Final = 200  # far enough back to know when an alarm began


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch; each of them is a setting.

    Parameters
    ----------
    sample_rows
        Rows of the current window's sample; each day of the reference has as many as one of the current window.
    memory_mib
        Memory that comparing windows may take.
    false_alarm_rate
        Share of quiet windows that may seem to be odd: half of it in drift, half of it in what is counted.
    freshness_hours
        From how long on the newest comment is too old.
    """

    sample_rows: int = 4_000
    memory_mib: int = 1_024
    false_alarm_rate: float = 0.01
    freshness_hours: float = 48
    rule: AlarmRule = field(default_factory=AlarmRule)


@dataclass(frozen=True, slots=True)
class MonitorReceipt:
    """What a drift check found: the windows compared, the report's file, and Evidently's values as ours.

    Parameters
    ----------
    is_violated
        Whether this window drifted.
    alarm
        What this window and those before it amount to.
    checks
        What was counted: volume, refused rows, throughput, freshness.
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
    checks: tuple[Check, ...]
    seconds: float
    peak_memory_mib: float


def monitor_windows(
    lake: Lake, model: str, *, run_id: str, now: datetime, days: int = 7, options: WatchOptions
) -> MonitorReceipt:
    """Compare features and predictions of the newest `days` of scored comments with the four times before, and count.

    The current window ends with the newest scored comment, so an import of old comments is judged on its
    own time. Writes one row per column to `monitoring.drift`, one per count to `monitoring.checks`, and the report to
    `reports/`.

    Raises
    ------
    BadData
        If either window holds no scored comments.
    Refused
        If comparing takes more memory than it may.
    """
    started = perf_counter()
    with read_lake(lake) as connection:
        window_to = read_end(connection, model)
        checks = _check_counts(connection, model, now, options)
    asked = Comparison(
        model=model,
        window_to=window_to,
        days=days,
        sample_rows=options.sample_rows,
        rate=options.false_alarm_rate / 2,
        report_path=lake.home / "reports" / f"{run_id}.html",
        memory_limit=f"{options.memory_mib // 2}MiB",
    )
    compared = run_apart(partial(compare_windows, lake, asked), memory_mib=options.memory_mib, preload=PRELOADED)
    with read_lake(lake) as connection:
        verdict = WindowVerdict(window_to, now, compared.drift.is_violated)
        verdicts = [verdict, *read_verdicts(connection, model)]
    alarm = judge_windows(verdicts, options.rule, overlap=timedelta(days=days))
    receipt = _build_receipt(asked, compared, run_id, alarm=alarm, checks=checks, seconds=perf_counter() - started)
    _append_checks(lake, receipt, now)
    return receipt


def _check_counts(
    connection: "duckdb.DuckDBPyConnection", model: str, now: datetime, options: WatchOptions
) -> tuple[Check, ...]:
    counted = check_volume(read_daily_counts(connection, now), options.false_alarm_rate / 2)
    fresh = check_freshness(connection, now, options.freshness_hours)
    return (*counted, check_throughput(connection, model, now), *fresh)


def check_freshness(connection: "duckdb.DuckDBPyConnection", now: datetime, limit_hours: float) -> tuple[Check, ...]:
    """Check how long ago the newest comment was seen; nothing if the sources did not tell that of any."""
    newest = read_newest_observation(connection)
    if newest is None:
        return ()
    return (Check(FRESHNESS, None, newest, now, (now - newest) / timedelta(hours=1), Usual(None, None, limit_hours)),)


def _build_receipt(
    asked: Comparison, compared: Compared, run_id: str, *, alarm: Alarm, checks: tuple[Check, ...], seconds: float
) -> MonitorReceipt:
    return MonitorReceipt(
        run_id=run_id,
        model=asked.model,
        reference_from=compared.reference_from,
        window_from=asked.window_from,
        window_to=asked.window_to,
        report_path=asked.report_path,
        drift=compared.drift,
        is_violated=compared.drift.is_violated,
        alarm=alarm,
        checks=checks,
        seconds=seconds,
        peak_memory_mib=compared.peak_memory_mib,
    )


def read_verdicts(connection: "duckdb.DuckDBPyConnection", model: str) -> tuple[WindowVerdict, ...]:
    """Read what the newest drift checks of a model said of their windows, the newest first."""
    rows = connection.execute(_WATCHED.read_text(), {"model": model, "checks": _CHECKS_READ}).fetchall()
    return tuple(WindowVerdict(*row) for row in rows)


def read_newest_observation(connection: "duckdb.DuckDBPyConnection") -> datetime | None:
    """Read when the newest comment was first seen (UTC); None if the sources did not tell that of any."""
    row = connection.execute("select max(observed_at) from raw.comments where not is_observed_at_imputed").fetchone()
    return row[0] if row else None


def _append_checks(lake: Lake, receipt: MonitorReceipt, now: datetime) -> None:
    shared = (receipt.run_id, receipt.model, now, receipt.window_from, receipt.window_to)
    rows = [
        (
            *shared, check.column, check.kind, check.method, check.score, check.threshold, check.is_drifted,
            check.reference_rows, check.current_rows, receipt.report_path.name, receipt.drift.is_calibrated,
        )
        for check in receipt.drift.checks
    ]  # fmt: skip

    def append(connection: "duckdb.DuckDBPyConnection") -> None:
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into monitoring.drift values ({marks})", rows)  # noqa: S608 - marks only
        append_checks(connection, receipt.checks, run_id=receipt.run_id, now=now)
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
            "compared": len(receipt.drift.checks),
            "comparing_peak_memory_mib": round(receipt.peak_memory_mib, 1),
            "drifted": receipt.drift.drifted(),
            "is_calibrated": receipt.drift.is_calibrated,
            "is_alarm": receipt.alarm.is_on,
            "is_violated": receipt.is_violated,
            "window_to": receipt.window_to,
            "report": receipt.report_path.name,
            "skipped": dict(receipt.drift.skipped),
        },
    )
