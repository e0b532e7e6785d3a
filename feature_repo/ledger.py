"""The ledger of runs: the one place from which batch numbers, data versions and watermarks are read.

It records what happened; what a run does is up to the module that does it.
"""

import json
import re
import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.lake import quote_name

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Run:
    """One row of `ops.runs`; the meaning of each field is declared there."""

    run_id: str
    kind: str
    started_at: datetime
    ended_at: datetime
    outcome: str = "done"
    model: str | None = None
    model_version: str | None = None
    role: str | None = None
    rows_owed: int | None = None
    rows_out: int | None = None
    rows_known: int | None = None
    rows_quarantined: int | None = None
    watermark_from: int | None = None
    data_version: int | None = None
    until_at: datetime | None = None
    cpu_seconds: float | None = None
    bytes_written: int | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def append_run(connection: "duckdb.DuckDBPyConnection", run: Run) -> None:
    """Write one run into the ledger, within the caller's transaction."""
    row = asdict(run) | {
        "stage_seconds": json.dumps({stage: round(spent, 3) for stage, spent in run.stage_seconds.items()}),
        "details": json.dumps(run.details, default=str, sort_keys=True),
        "peak_memory_mib": round(read_peak_memory_mib(), 1),
    }
    columns = ", ".join(quote_name(name) for name in row)
    marks = ", ".join("?" for _ in row)
    connection.execute(f"insert into ops.runs ({columns}) values ({marks})", list(row.values()))  # noqa: S608 - our names


def read_data_version(connection: "duckdb.DuckDBPyConnection") -> int:
    """Greatest `ingest_seq` given so far, 0 in an empty lake.

    Also counts batches that were reverted: a number is never given twice.
    """
    return _read_number(
        connection,
        "select max(data_version) from ops.runs "
        "where kind in ('ingest', 'replay', 'revert', 'push') and outcome = 'done'",
    )


def read_materialized_version(connection: "duckdb.DuckDBPyConnection") -> int:
    """Data version up to which features are in the lake, 0 if none are."""
    return _read_number(
        connection, "select max(data_version) from ops.runs where kind = 'materialize' and outcome = 'done'"
    )


def read_materialized_until(connection: "duckdb.DuckDBPyConnection") -> datetime | None:
    """Hour up to which the channel windows are written, None before the first materialization."""
    row = connection.execute(
        "select max(until_at) from ops.runs where kind = 'materialize' and outcome = 'done'"
    ).fetchone()
    return row[0] if row else None


def read_reverted_version(connection: "duckdb.DuckDBPyConnection") -> int:
    """Data version of the newest revert, 0 if nothing was ever taken back."""
    return _read_number(connection, "select max(data_version) from ops.runs where kind = 'revert' and outcome = 'done'")


def read_watermark(connection: "duckdb.DuckDBPyConnection", model: str, role: str = "production") -> int:
    """Data version up to which a model's role has scored, 0 if it never ran."""
    return _read_number(
        connection,
        "select max(data_version) from ops.runs where kind = 'score' and outcome = 'done' and model = ? and role = ?",
        [model, role],
    )


def read_peak_memory_mib() -> float:
    """Greatest resident memory this process has had, in MiB."""
    # Linux begins ru_maxrss with that of the process that started this one; the status file tells this one's own.
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _read_number(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: list[str] | None = None) -> int:
    row = connection.execute(sql, parameters or []).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
