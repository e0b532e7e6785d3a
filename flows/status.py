"""How the lake stands, from the ledger alone: what is wrong, tables, champions, what is owed, the last runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from feature_repo.alerts import read_open_alerts
from feature_repo.lake import quote_name, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version
from flows.report import Grid, Report
from flows.settings import read_settings
from scoring.owed import ScoreRequest, read_owed
from training.spec import list_specs

if TYPE_CHECKING:
    import duckdb

_SHOWN_RUNS: Final = 10


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model: its champion, or None, and how many comments it owes."""

    model: str
    champion: str | None
    rows_owed: int


@dataclass(frozen=True, slots=True)
class Status:
    """The lake at a glance; `last_runs` holds kind, model, start, outcome and rows out, newest first.

    `open_alerts` holds severity, subject, beginning, how often it was seen, and what happened the last time.
    """

    home: str
    data_version: int
    materialized_version: int
    rows: dict[str, int]
    models: tuple[ModelStatus, ...]
    last_runs: tuple[tuple[str, str | None, datetime, str, int | None], ...]
    open_alerts: tuple[tuple[str, str, datetime, int, str], ...] = ()


def read_status() -> Status:
    """Read how the lake stands; raises `Unavailable` if there is none."""
    lake = read_settings().lake
    with read_lake(lake) as connection:
        champions = _read_champions(connection)
        rows = _count_rows(connection)
        versions = read_data_version(connection), read_materialized_version(connection)
        runs = connection.execute(
            "select kind, model, started_at, outcome, rows_out from ops.runs order by started_at desc, run_id limit ?",
            [_SHOWN_RUNS],
        ).fetchall()
        alerts = read_open_alerts(connection)
    models = tuple(
        ModelStatus(model, champions.get(model), read_owed(lake, ScoreRequest(model)).rows) for model in list_specs()
    )
    told = tuple((one.severity, one.subject, one.opened_at, one.occurrences, one.message) for one in alerts)
    return Status(str(lake.home), *versions, rows, models, tuple(runs), told)


def build_report(status: Status) -> Report:
    """Build the report of the lake's state."""
    behind = status.data_version - status.materialized_version
    facts = {
        "lake": status.home,
        "data version": status.data_version,
        "features": "up to date" if not behind else "behind the data; run `scorelake materialize`",
        **{table: count for table, count in status.rows.items() if count},
    }
    models = Grid(
        ("model", "champion", "owes comments"),
        tuple((model.model, model.champion, model.rows_owed) for model in status.models),
    )
    runs = Grid(
        ("run", "model", "started (UTC)", "outcome", "rows"),
        tuple(
            (kind, model, f"{at:%Y-%m-%d %H:%M:%S}", outcome, rows)
            for kind, model, at, outcome, rows in status.last_runs
        ),
        title="last runs",
    )
    alerts = Grid(
        ("", "what is wrong", "since (UTC)", "seen", "the last time"),
        tuple(
            (severity, subject, f"{at:%Y-%m-%d %H:%M}", seen, message)
            for severity, subject, at, seen, message in status.open_alerts
        ),
        title="open alerts",
    )
    return Report("Status", facts, (*((alerts,) if alerts.rows else ()), models, runs))


def _read_champions(connection: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    rows = connection.execute(
        "select model, max_by(champion_after, decided_at) from ops.promotions group by model"
    ).fetchall()
    return {model: champion for model, champion in rows if champion}


def _count_rows(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    tables = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = 'lake' and schema_name in ('raw', 'features', 'scores') order by 1"
    ).fetchall()
    return {name: _count(connection, name) for (name,) in tables}


def _count(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    row = connection.execute(f"select count(*) from {quote_name(table)}").fetchone()  # noqa: S608 - a quoted name
    return int(row[0]) if row else 0
