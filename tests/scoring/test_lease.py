import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, write_lake
from scoring.lease import holds_lease, release_lease, take_lease

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def take_as_other(
    lake: Lake, *, host: str, process_id: int, expires_at: datetime, started_at: datetime | None = None
) -> None:
    with write_lake(lake, purpose="test") as connection:
        row = ["sentiment/production", "other", host, process_id, NOW - timedelta(hours=1), expires_at, started_at]
        connection.execute("insert into ops.leases values (?, ?, ?, ?, ?, ?, ?)", row)


def test_a_lease_is_taken_held_and_released(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        take_lease(connection, "sentiment/production", run_id="mine", now=NOW)
        assert holds_lease(connection, "sentiment/production", "mine")
        assert not holds_lease(connection, "sentiment/production", "other")
        release_lease(connection, "sentiment/production", "mine")
        assert not holds_lease(connection, "sentiment/production", "mine")


def test_the_lease_of_a_live_process_is_refused_and_its_holder_named(lake: Lake) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        take_as_other(lake, host=socket.gethostname(), process_id=sleeper.pid, expires_at=NOW + timedelta(hours=5))
        expected = (
            rf"sentiment/production is being worked on by run other, process {sleeper.pid} .* since 2026-03-01 11:00"
        )
        with write_lake(lake, purpose="test") as connection, pytest.raises(Unavailable, match=expected):
            take_lease(connection, "sentiment/production", run_id="mine", now=NOW)
    finally:
        sleeper.terminate()
        sleeper.wait()


@pytest.mark.parametrize(
    ("host", "is_own_process", "hours_left"),
    [
        pytest.param("here", False, 5, id="a dead process on this host"),
        pytest.param("here", True, 5, id="a failed run of this process"),
        pytest.param("elsewhere", False, -1, id="expired on another host"),
    ],
)
def test_the_lease_of_a_dead_run_is_taken_over(lake: Lake, host: str, is_own_process: bool, hours_left: int) -> None:  # noqa: FBT001
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    take_as_other(
        lake,
        host=socket.gethostname() if host == "here" else host,
        process_id=os.getpid() if is_own_process else gone.pid,
        expires_at=NOW + timedelta(hours=hours_left),
    )
    with write_lake(lake, purpose="test") as connection:
        take_lease(connection, "sentiment/production", run_id="mine", now=NOW)
        assert connection.execute("select run_id from ops.leases").fetchall() == [("mine",)]


def test_an_unexpired_lease_on_another_host_is_respected(lake: Lake) -> None:
    take_as_other(lake, host="elsewhere", process_id=1, expires_at=NOW + timedelta(hours=1))
    with write_lake(lake, purpose="test") as connection, pytest.raises(Unavailable, match="process 1 on elsewhere"):
        take_lease(connection, "sentiment/production", run_id="mine", now=NOW)


def test_a_number_that_another_process_has_by_now_is_of_a_dead_run(lake: Lake) -> None:
    take_as_other(
        lake,
        host=socket.gethostname(),
        process_id=os.getppid(),
        expires_at=NOW + timedelta(hours=5),
        started_at=datetime(2000, 1, 1, tzinfo=UTC),
    )
    with write_lake(lake, purpose="test") as connection:
        take_lease(connection, "sentiment/production", run_id="mine", now=NOW)
        assert holds_lease(connection, "sentiment/production", "mine")
