"""The lease on a model's role: one run at a time works for it, and a dead run's lease is taken over."""

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import psutil

from feature_repo.errors import Unavailable

if TYPE_CHECKING:
    import duckdb

# Long enough for the largest run; on the holder's own host a dead process frees the lease at once.
_LEASE: Final = timedelta(hours=6)
_SAME_START: Final = timedelta(seconds=2)  # the kernel counts a start in ticks since boot


def take_lease(
    connection: "duckdb.DuckDBPyConnection", name: str, *, run_id: str, now: datetime, is_holder_dead: bool = False
) -> None:
    """Take the lease `name`, within the caller's transaction under the writer lock.

    Parameters
    ----------
    is_holder_dead
        Whether it is known that whoever has it is dead, so that nobody need wait until it is over.

    Raises
    ------
    Unavailable
        While another live run holds it; names the holder.
    """
    row = connection.execute(
        "select run_id, host, process_id, process_started_at, expires_at, acquired_at from ops.leases where name = ?",
        [name],
    ).fetchone()
    if row is not None and not is_holder_dead and _is_alive(*row[1:5], now=now):
        raise Unavailable(
            f"{name} is being worked on by run {row[0]}, process {row[2]} on {row[1]}, "
            f"since {row[5]:%Y-%m-%d %H:%M:%S} UTC; it will do the owed work. Try again when it has finished."
        )
    connection.execute("delete from ops.leases where name = ?", [name])
    connection.execute(
        "insert into ops.leases (name, run_id, host, process_id, process_started_at, acquired_at, expires_at) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        [name, run_id, socket.gethostname(), os.getpid(), _read_start(os.getpid()), now, now + _LEASE],
    )


def holds_lease(connection: "duckdb.DuckDBPyConnection", name: str, run_id: str) -> bool:
    """Whether the run still holds the lease; rechecked under the lock before anything is published."""
    return (
        connection.execute("select 1 from ops.leases where name = ? and run_id = ?", [name, run_id]).fetchone()
        is not None
    )


def release_lease(connection: "duckdb.DuckDBPyConnection", name: str, run_id: str) -> None:
    """Give the lease back, if the run holds it."""
    connection.execute("delete from ops.leases where name = ? and run_id = ?", [name, run_id])


def release_all(connection: "duckdb.DuckDBPyConnection") -> None:
    """Give all leases back: in a lake that was restored elsewhere, nobody works for a role."""
    connection.execute("delete from ops.leases")


def list_live_runs(connection: "duckdb.DuckDBPyConnection", now: datetime) -> tuple[str, ...]:
    """The runs of other processes that hold a lease and are alive, by id."""
    return tuple(run_id for _, run_id, is_alive in _list_leases(connection, now) if is_alive)


def list_dead_leases(connection: "duckdb.DuckDBPyConnection", now: datetime) -> tuple[tuple[str, str], ...]:
    """The leases whose run is dead or out of time, as (name, run_id); the next run would take them over."""
    return tuple((name, run_id) for name, run_id, is_alive in _list_leases(connection, now) if not is_alive)


def _list_leases(connection: "duckdb.DuckDBPyConnection", now: datetime) -> list[tuple[str, str, bool]]:
    rows = connection.execute(
        "select name, run_id, host, process_id, process_started_at, expires_at from ops.leases order by run_id"
    ).fetchall()
    return [(name, run_id, _is_alive(*holder, now=now)) for name, run_id, *holder in rows]


def _is_alive(host: str, process_id: int, started_at: datetime | None, expires_at: datetime, *, now: datetime) -> bool:
    if host != socket.gethostname():
        return expires_at > now
    if process_id == os.getpid():
        return False
    found = _read_start(process_id)
    # After a restart another process may have the number of the dead one.
    is_same = found is not None and (started_at is None or abs(found - started_at) < _SAME_START)
    return is_same and expires_at > now


def _read_start(process_id: int) -> datetime | None:
    """When a process of this host began (UTC), None if there is none of that number."""
    try:
        return datetime.fromtimestamp(psutil.Process(process_id).create_time(), UTC)
    except psutil.NoSuchProcess:
        return None
