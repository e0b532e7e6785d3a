"""How the lake stands, on one screen: what is wrong, size, freshness, champions, what is owed, the last runs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from feature_repo.alerts import read_open_alerts
from feature_repo.lake import quote_name, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version
from feature_repo.upkeep import measure_disk
from flows.report import Grid, Report, show_age
from flows.settings import read_settings
from scoring.monitor import read_newest_observation
from scoring.owed import ScoreRequest, read_owed
from training.promotions import read_last_change, read_standing
from training.spec import list_specs

if TYPE_CHECKING:
    import duckdb

_SHOWN_RUNS: Final = 8
_SHOWN_ALERTS: Final = 5
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model: its champion and since when it is, what it owes, and when it scored last; None where there is none."""

    model: str
    champion: str | None
    rows_owed: int
    champion_since: datetime | None = None
    scored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The lake at a glance.

    Parameters
    ----------
    rows
        By table.
    disk_bytes
        Size of the lake's folder, with what older snapshots need.
    newest_comment_at
        When the newest comment was first seen (UTC); None if the sources did not tell that of any.
    last_runs
        Kind, model, start, outcome and rows out, newest first.
    open_alerts
        Severity, subject, beginning, how often it was seen, and what happened the last time.
    """

    home: str
    now: datetime
    data_version: int
    materialized_version: int
    rows: dict[str, int]
    disk_bytes: int
    newest_comment_at: datetime | None
    models: tuple[ModelStatus, ...]
    last_runs: tuple[tuple[str, str | None, datetime, str, int | None], ...]
    open_alerts: tuple[tuple[str, str, datetime, int, str], ...] = ()


def read_status(now: datetime | None = None) -> Status:
    """Read how the lake stands, at an instant, the clock's if not given; raises `Unavailable` if there is none."""
    lake = read_settings().lake
    with read_lake(lake) as connection:
        rows = _count_rows(connection)
        versions = read_data_version(connection), read_materialized_version(connection)
        newest = read_newest_observation(connection)
        runs = connection.execute(
            "select kind, model, started_at, outcome, rows_out from ops.runs order by started_at desc, run_id limit ?",
            [_SHOWN_RUNS],
        ).fetchall()
        alerts = read_open_alerts(connection)
        models = tuple(
            _read_model(connection, model, read_owed(lake, ScoreRequest(model)).rows) for model in list_specs()
        )
    told = tuple((one.severity, one.subject, one.opened_at, one.occurrences, one.message) for one in alerts)
    return Status(
        str(lake.home),
        now or datetime.now(UTC),
        *versions,
        rows,
        measure_disk(lake),
        newest,
        models,
        tuple(runs),
        told,
    )


def _read_model(connection: "duckdb.DuckDBPyConnection", model: str, rows_owed: int) -> ModelStatus:
    change = read_last_change(connection, model)
    scored = connection.execute(
        "select max(ended_at) from ops.runs where kind = 'score' and outcome = 'done' and model = ?", [model]
    ).fetchone()
    champion = read_standing(connection, model).champion
    return ModelStatus(model, champion, rows_owed, change[1] if change else None, scored[0] if scored else None)


def build_report(status: Status) -> Report:
    """Build the report of the lake's state: one screen, what is wrong first."""
    alerts = _build_alerts(status)
    grids = (*((alerts,) if alerts.rows else ()), _build_models(status), _build_runs(status))
    more = len(status.open_alerts) - _SHOWN_ALERTS
    notes = (f"{more} more alerts are open, see ops.alerts",) if more > 0 else ()
    return Report("Status", _build_facts(status), grids, notes)


def _build_facts(status: Status) -> dict[str, object]:
    counts = {name: status.rows.get(f"raw.{name}", 0) for name in ("comments", "videos", "channels", "labels")}
    behind = status.data_version > status.materialized_version
    quarantined = status.rows.get("raw.quarantine", 0)
    newest, now = status.newest_comment_at, status.now
    return {
        "lake": status.home,
        "size": f"{sum(status.rows.values()):,} rows in {sum(map(bool, status.rows.values()))} tables, "
        f"{status.disk_bytes / _MIB:,.1f} MiB on disk",
        "holds": ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing yet",
        **({"quarantine": f"{quarantined:,} rows, see `scorelake quarantine list`"} if quarantined else {}),
        "newest comment": f"{newest:%Y-%m-%d %H:%M} UTC, {show_age(now - newest)} ago" if newest else "not told",
        "features": "behind the data; run `scorelake materialize`" if behind else "up to date",
        "data version": f"{status.data_version:,}",
        "alerts": f"{len(status.open_alerts)} open" if status.open_alerts else "none",
    }


def _build_models(status: Status) -> Grid:
    def tell(at: datetime | None) -> str | None:
        return f"{show_age(status.now - at)} ago" if at else None

    return Grid(
        ("model", "champion", "since", "owes comments", "last scored"),
        tuple(
            (one.model, one.champion, tell(one.champion_since), one.rows_owed, tell(one.scored_at))
            for one in status.models
        ),
    )


def _build_runs(status: Status) -> Grid:
    return Grid(
        ("run", "model", "started (UTC)", "outcome", "rows"),
        tuple(
            (kind, model, f"{at:%Y-%m-%d %H:%M:%S}", outcome, rows)
            for kind, model, at, outcome, rows in status.last_runs
        ),
        title="last runs",
    )


def _build_alerts(status: Status) -> Grid:
    return Grid(
        ("", "what is wrong", "since (UTC)", "seen", "the last time"),
        tuple(
            (severity, subject, f"{at:%Y-%m-%d %H:%M}", seen, message.splitlines()[0])
            for severity, subject, at, seen, message in status.open_alerts[:_SHOWN_ALERTS]
        ),
        title="open alerts",
    )


def _count_rows(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    tables = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = 'lake' and schema_name in ('raw', 'features', 'scores') order by 1"
    ).fetchall()
    return {name: _count(connection, name) for (name,) in tables}


def _count(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    row = connection.execute(f"select count(*) from {quote_name(table)}").fetchone()  # noqa: S608 - a quoted name
    return int(row[0]) if row else 0
