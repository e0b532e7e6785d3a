"""Alerts as they stand in `ops.alerts`: opened, seen again, closed, and which of them somebody is still to be told.

How they are told belongs to `flows`. Each writing function works within the caller's transaction.
"""

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from feature_repo.lake import quote_name

if TYPE_CHECKING:
    import duckdb

Severity = Literal["info", "warning", "error"]

_RANK: Final[dict[str, int]] = {"info": 0, "warning": 1, "error": 2}
REMINDER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """One row of `ops.alerts`; the meaning of each field is declared there."""

    alert_id: str
    key: str
    severity: Severity
    subject: str
    message: str
    model: str | None
    run_id: str
    opened_at: datetime
    seen_at: datetime
    occurrences: int = 1
    closed_at: datetime | None = None
    notified_at: datetime | None = None
    notified_severity: Severity | None = None
    closing_notified_at: datetime | None = None
    notice_error: str | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether somebody is to be told: of what is new, worse, open for a day since, or over.

        What asks nothing of anybody (info) is not told again. The end of an alert that nobody was told of is no news.
        """
        if self.closed_at is not None:
            return self.notified_at is not None and self.closing_notified_at is None
        if self.notified_at is None or self.notified_severity is None:
            return True
        is_lasting = self.severity != "info" and now - self.notified_at >= REMINDER
        return is_lasting or _RANK[self.severity] > _RANK[self.notified_severity]

    @property
    def is_reminder(self) -> bool:
        """Whether telling it says nothing that was not told before: only who sees it again knows that it lasts."""
        is_told = self.closed_at is None and self.notified_severity is not None
        return is_told and _RANK[self.severity] <= _RANK[self.notified_severity or self.severity]


_COLUMNS: Final = ", ".join(quote_name(field.name) for field in fields(Alert))


def read_open_alerts(connection: "duckdb.DuckDBPyConnection") -> tuple[Alert, ...]:
    """Read the alerts that are open, the oldest first; none in a lake of a release that had none."""
    return _read(connection, "closed_at is null")


def read_due_alerts(connection: "duckdb.DuckDBPyConnection", now: datetime) -> tuple[Alert, ...]:
    """Read the alerts that somebody is to be told of, the oldest first."""
    found = _read(connection, "closed_at is null or (notified_at is not null and closing_notified_at is null)")
    return tuple(alert for alert in found if alert.is_due(now))


def open_alert(connection: "duckdb.DuckDBPyConnection", alert: Alert) -> None:
    """Open an alert, or see the open one of its key again: it keeps its beginning and its greatest severity."""
    for known in _read(connection, "closed_at is null and key = ?", alert.key):
        severity = max(alert.severity, known.severity, key=_RANK.__getitem__)
        connection.execute(
            "update ops.alerts set severity = ?, subject = ?, message = ?, run_id = ?, seen_at = ?, "
            "occurrences = occurrences + 1 where alert_id = ?",
            [severity, alert.subject, alert.message, alert.run_id, alert.seen_at, known.alert_id],
        )
        return
    row = asdict(alert)
    marks = ", ".join("?" for _ in row)
    connection.execute(f"insert into ops.alerts ({_COLUMNS}) values ({marks})", list(row.values()))  # noqa: S608 - our names


def close_alert(connection: "duckdb.DuckDBPyConnection", key: str, now: datetime) -> None:
    """Close the open alert of a key, if there is one."""
    connection.execute("update ops.alerts set closed_at = ? where key = ? and closed_at is null", [now, key])


def mark_notice(
    connection: "duckdb.DuckDBPyConnection", alert: Alert, *, now: datetime, error: str | None = None
) -> None:
    """Note that an alert, as it was read, was sent; or why it could not be."""
    told = replace(alert, notice_error=error)
    if error is None and alert.closed_at is not None:
        told = replace(told, closing_notified_at=now)
    elif error is None:
        told = replace(told, notified_at=now, notified_severity=alert.severity)
    connection.execute(
        "update ops.alerts set notified_at = ?, notified_severity = ?, closing_notified_at = ?, notice_error = ? "
        "where alert_id = ?",
        [told.notified_at, told.notified_severity, told.closing_notified_at, error, alert.alert_id],
    )


def _read(connection: "duckdb.DuckDBPyConnection", condition: str, *values: str) -> tuple[Alert, ...]:
    has_table = connection.execute(
        "select count(*) from duckdb_tables() where database_name = 'lake' and schema_name = 'ops' "
        "and table_name = 'alerts'"
    ).fetchone()
    if has_table is None or not has_table[0]:
        return ()
    sql = f"select {_COLUMNS} from ops.alerts where {condition} order by opened_at, alert_id"  # noqa: S608 - our words
    return tuple(Alert(*row) for row in connection.execute(sql, list(values)).fetchall())
