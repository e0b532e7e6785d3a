"""The lease on a model's role: one run at a time works for it, and a dead run's lease is taken over."""

import os
import socket
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import psutil

from feature_repo.errors import Unavailable

if TYPE_CHECKING:
    import duckdb

# Long enough for the largest run; on the holder's own host a dead process frees the lease at once.
_LEASE: Final = timedelta(hours=6)


def take_lease(connection: "duckdb.DuckDBPyConnection", name: str, *, run_id: str, now: datetime) -> None:
    """Take the lease `name`, within the caller's transaction under the writer lock.

    Raises `Unavailable`, naming the holder, while another live run holds it.
    """
    row = connection.execute(
        "select run_id, host, process_id, acquired_at, expires_at from ops.leases where name = ?", [name]
    ).fetchone()
    if row is not None and _is_alive(host=row[1], process_id=row[2], expires_at=row[4], now=now):
        raise Unavailable(
            f"{name} is being worked on by run {row[0]}, process {row[2]} on {row[1]}, "
            f"since {row[3]:%Y-%m-%d %H:%M:%S} UTC; it will do the owed work. Try again when it has finished."
        )
    connection.execute("delete from ops.leases where name = ?", [name])
    connection.execute(
        "insert into ops.leases values (?, ?, ?, ?, ?, ?)",
        [name, run_id, socket.gethostname(), os.getpid(), now, now + _LEASE],
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


def _is_alive(*, host: str, process_id: int, expires_at: datetime, now: datetime) -> bool:
    if host == socket.gethostname() and (process_id == os.getpid() or not psutil.pid_exists(process_id)):
        return False
    return expires_at > now
