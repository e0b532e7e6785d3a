"""What batch runs have done, for Prometheus: read from the lake when it asks, and kept for a while.

The ledger counts for ever, so that its sums are counters. Of a lake without a service, `scorelake metrics` writes the
same for the textfile collector of Prometheus's node exporter.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import duckdb
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from feature_repo.errors import ScorelakeError
from feature_repo.lake import Lake, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version
from feature_repo.online import read_online_state
from training.promotions import read_standing
from training.spec import list_specs

if TYPE_CHECKING:
    from datetime import datetime

_log = logging.getLogger(__name__)
_RUNS: Final = Path(__file__).with_name("batch_exposition.sql").read_text(encoding="utf-8")
_KEPT_SECONDS: Final = 15.0
_DRIFT: Final = (
    "select model, count(*) filter (where is_drifted), count(*) from monitoring.drift "
    # one to many: the checks of each model's newest run
    "semi join (select arg_max(run_id, checked_at) as run_id from monitoring.drift group by model) using (run_id) "
    "group by model order by model"
)
_ALARMS: Final = (
    "select model, arg_max(coalesce((details::json ->> 'is_alarm')::boolean, false), started_at) "
    "from ops.runs where kind = 'monitor' and outcome = 'done' group by model order by model"
)


class BatchCollector(Collector):
    """Everything that batch runs left in a lake; what was read last is told for 15 s, and while it cannot be read."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._reading = Lock()
        self._read: tuple[Metric, ...] = ()
        self._read_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """Collect what there is to say, and whether it could be read."""
        is_readable = True
        with self._reading:
            if monotonic() - self._read_at > _KEPT_SECONDS:
                try:
                    self._read = tuple(read_metrics(self._lake))
                    self._read_at = monotonic()
                except (ScorelakeError, duckdb.Error, OSError) as error:
                    _log.warning("batch metrics not read: %s", error)
                    is_readable = False
        yield from self._read
        yield _gauge("scorelake_lake_readable", "1 if the lake could be read, else 0.", is_readable)


def write_exposition(lake: Lake) -> bytes:
    """The metrics of a lake's batch runs as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BatchCollector(lake))
    return generate_latest(registry)


def read_metrics(lake: Lake) -> Iterator[Metric]:
    """Read everything; raises `Unavailable` if there is no lake."""
    with read_lake(lake) as connection:
        yield from _build_runs(connection.execute(_RUNS).fetchall())
        yield from _read_states(connection)
        yield from _read_watched(connection)
        champions = GaugeMetricFamily("scorelake_champion_version", "Champion, by number.", labels=["model"])
        for name in list_specs():
            champion = read_standing(connection, name).champion
            if champion is not None and champion.isdecimal():
                champions.add_metric([name], int(champion))
        yield champions


def _build_runs(rows: Iterable[tuple[Any, ...]]) -> Iterator[Metric]:
    labels = ("kind", "model", "outcome")
    runs = CounterMetricFamily("scorelake_runs", "Runs in the ledger.", labels=labels)
    out = CounterMetricFamily("scorelake_rows", "Rows that runs wrote.", labels=labels)
    refused = CounterMetricFamily("scorelake_rows_quarantined", "Rows that runs refused.", labels=labels)
    last_rows = GaugeMetricFamily("scorelake_last_run_rows", "Rows that the last run wrote.", labels=labels)
    seconds = GaugeMetricFamily("scorelake_last_run_seconds", "Seconds that the last run took.", labels=labels)
    ended = GaugeMetricFamily("scorelake_last_run_timestamp_seconds", "When the last run ended.", labels=labels)
    families: tuple[CounterMetricFamily | GaugeMetricFamily, ...] = (runs, out, refused, last_rows, seconds, ended)
    for kind, model, outcome, *values in rows:
        for family, value in zip(families, values, strict=True):
            family.add_metric([kind, model, outcome], value)
    yield from families


def _read_states(connection: "duckdb.DuckDBPyConnection") -> Iterator[Metric]:
    [(newest, waiting)] = connection.execute(
        "select (select max(observed_at) from raw.comments), "
        "(select count(*) from raw.quarantine where replayed_batch_id is null)"
    ).fetchall()
    online = read_online_state(connection)
    yield _gauge("scorelake_data_version", "Greatest ingest_seq.", read_data_version(connection))
    yield _gauge(
        "scorelake_materialized_version", "ingest_seq up to which features are there.",
        read_materialized_version(connection),
    )  # fmt: skip
    yield _gauge("scorelake_quarantine_rows", "Refused rows that wait to be replayed.", waiting)
    yield from _tell_instant("scorelake_newest_comment_timestamp_seconds", "When it was first seen.", newest)
    filled = online.filled_at if online else None
    yield from _tell_instant("scorelake_online_timestamp_seconds", "Instant of the online store's values.", filled)


def _read_watched(connection: "duckdb.DuckDBPyConnection") -> Iterator[Metric]:
    drifted = GaugeMetricFamily(
        "scorelake_drifted_checks", "Checks of the newest window that drifted.", labels=["model"]
    )
    checks = GaugeMetricFamily("scorelake_drift_checks", "Checks of the newest window.", labels=["model"])
    for model, count, total in connection.execute(_DRIFT).fetchall():
        drifted.add_metric([model], count)
        checks.add_metric([model], total)
    alarm = GaugeMetricFamily("scorelake_drift_alarm", "1 while drift is an alarm, else 0.", labels=["model"])
    for model, is_alarm in connection.execute(_ALARMS).fetchall():
        alarm.add_metric([model], float(is_alarm))
    alerts = GaugeMetricFamily("scorelake_open_alerts", "Alerts that are open.", labels=["severity"])
    found = connection.execute("select severity, count(*) from ops.alerts where closed_at is null group by severity")
    counts = dict(found.fetchall())
    for severity in ("info", "warning", "error"):
        alerts.add_metric([severity], counts.get(severity, 0))
    yield from (drifted, checks, alarm, alerts)


def _tell_instant(name: str, said: str, instant: "datetime | None") -> Iterator[Metric]:
    if instant is not None:
        yield _gauge(name, said, instant.timestamp())


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)
