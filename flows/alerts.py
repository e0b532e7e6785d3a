"""Alerts: what went wrong is kept in the lake until it is well again, and told once, not with every run.

Told again after a day, or when it gets worse; its end is told, too. An alert never fails the run that raises it: a
channel that does not answer is tried again by the next run that has anything to say, or ends well.
"""

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

import duckdb
from prefect.runtime import deployment, flow_run

from feature_repo.alerts import (
    REMINDER,
    Alert,
    Severity,
    close_alert,
    mark_notice,
    open_alert,
    read_due_alerts,
    read_open_alerts,
)
from feature_repo.errors import ScorelakeError, Unavailable
from feature_repo.lake import read_lake, run_transaction, write_lake
from flows.entry import Entry
from flows.failures import Failure
from flows.notices import NoticeFailed, has_channel, send_notice
from flows.prefect_api import explain_silence
from training.spec import list_specs

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 5.0


def raise_alert(entry: Entry, key: str, *, severity: Severity, subject: str, message: str) -> None:
    """Open the alert of a key, or see it again; people are told if that is news to them."""
    named = f"{entry.model}: {subject}" if entry.model else subject
    body = f"{message}\n{_name_run(entry)}"
    alert = Alert(f"{key}@{entry.run_id}", key, severity, named, body, entry.model, entry.run_id, entry.now, entry.now)
    if not entry.lake.catalog.exists():
        return  # whoever begins a lake sits before it
    if _guard(entry, lambda: _write(entry, lambda connection: open_alert(connection, alert))):
        _guard(entry, lambda: send_due(entry, seen=key))
    else:
        _guard(entry, lambda: _send_unkept(entry, alert))


def resolve_alert(entry: Entry, *keys: str) -> None:
    """Close the alerts of some keys, if they are open: their cause is gone."""
    _guard(entry, lambda: _close(entry, keys))
    _guard(entry, lambda: send_due(entry))


def raise_failure(entry: Entry, failure: Failure) -> None:
    """Raise the alert of a run that failed, or was refused."""
    message = f"{failure.said}\n{failure.following}"
    raise_alert(
        entry, _name_key(entry), severity=failure.severity, subject=f"{entry.kind} {failure.outcome}", message=message
    )


def resolve_failure(entry: Entry) -> None:
    """Close the alert of the runs before of the same kind and model: this one ended well."""
    resolve_alert(entry, f"run/{entry.kind}", _name_key(entry))


def send_due(entry: Entry, *, seen: str | None = None) -> None:
    """Send what people are still to be told, each once; what cannot be sent stays for the next time.

    A reminder is sent only of the alert whose key was just seen again: of any other, this run may yet find the end.
    """
    if not has_channel(entry.settings) or not entry.lake.catalog.exists():
        return
    with read_lake(entry.lake) as connection:
        if not _list_due(connection, entry, seen):
            return
    # Of two runs that end together one sends.
    with entry.lake.catalog.hold("notices", "send notices", _PATIENCE_SECONDS):
        with read_lake(entry.lake) as connection:
            due = _list_due(connection, entry, seen)
        for alert in due:
            _send(entry, alert)


def _list_due(connection: duckdb.DuckDBPyConnection, entry: Entry, seen: str | None) -> list[Alert]:
    return [one for one in read_due_alerts(connection, entry.now) if one.key == seen or not one.is_reminder]


def _send(entry: Entry, alert: Alert) -> None:
    error = None
    try:
        send_notice(entry.settings, *_word(alert, entry))
    except NoticeFailed as failed:
        error = str(failed)
        _log.warning("notice not sent key=%s reason=%s", alert.key, error)
    _write(entry, lambda connection: mark_notice(connection, alert, now=entry.now, error=error))


def _send_unkept(entry: Entry, alert: Alert) -> None:
    """Send, once a day, what the lake cannot keep: that it cannot be written is what people must know."""
    if not has_channel(entry.settings):
        return
    note = entry.lake.folder / f"unkept-{sha256(alert.key.encode()).hexdigest()[:16]}"
    if note.exists() and entry.now - datetime.fromisoformat(note.read_text()) < REMINDER:
        return
    try:
        send_notice(entry.settings, *_word(alert, entry))
    except NoticeFailed as failed:
        _log.warning("notice not sent key=%s reason=%s", alert.key, failed)
        return
    note.write_text(entry.now.isoformat())


def _word(alert: Alert, entry: Entry) -> tuple[str, str]:
    if alert.closed_at is not None:
        lasted = timedelta(seconds=round((alert.closed_at - alert.opened_at).total_seconds()))
        return f"[well again] {alert.subject}", f"It lasted {lasted}, seen {alert.occurrences} times.\n{alert.message}"
    is_reminder = alert.notified_at is not None and entry.now > alert.opened_at
    since = f"\nOpen since {alert.opened_at:%Y-%m-%d %H:%M} UTC, seen {alert.occurrences} times." if is_reminder else ""
    return f"[{alert.severity}] {alert.subject}", alert.message + since


def _close(entry: Entry, keys: tuple[str, ...]) -> None:
    if not entry.lake.catalog.exists():
        return
    with read_lake(entry.lake) as connection:
        found = {alert.key for alert in read_open_alerts(connection)} & {*keys}

    def close(connection: duckdb.DuckDBPyConnection) -> None:
        for key in sorted(found):
            close_alert(connection, key, entry.now)

    if found:
        _write(entry, close)


def _write(entry: Entry, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    with write_lake(entry.lake, purpose="write an alert", wait_seconds=_PATIENCE_SECONDS) as connection:
        run_transaction(connection, work)


def _guard(entry: Entry, work: Callable[[], None]) -> bool:
    """Whether the work could be done; why not is logged, and no reason for the run to fail."""
    try:
        work()
    except (ScorelakeError, duckdb.Error, OSError, ValueError) as error:
        _log.warning("alert not kept or not sent run_id=%s reason=%s", entry.run_id, error)
        return False
    return True


def _name_key(entry: Entry) -> str:
    # A model that does not exist has no run that could end well: one of another model ends its alert.
    return f"run/{entry.kind}/{entry.model}" if entry.model in list_specs() else f"run/{entry.kind}"


def _name_run(entry: Entry) -> str:
    try:
        with explain_silence():
            # The server that a command starts for itself is gone when somebody follows the link.
            is_lasting = bool(os.environ.get("PREFECT_UI_URL") or deployment.id)
            link = flow_run.ui_url if is_lasting else None
    except Unavailable as error:  # perhaps for the very reason that is told
        _log.warning("no link to a run run_id=%s reason=%s", entry.run_id, error)
        link = None
    return f"Run {entry.run_id}" + (f": {link}" if link else "")
