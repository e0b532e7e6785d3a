"""Processes that belong together, real ones: how they are found again, and that others are left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from feature_repo.errors import Unavailable
from flows.processes import MARK_VARIABLE, end_processes, find_family, is_listening, list_flow_runs, mark_process
from flows.server import find_free_port, find_running_api
from flows.services import Service, describe_exit
from flows.up_state import SERVER, UpState, read_state, write_state
from tests.flows.prefect_calls import wait_for

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
# As Prefect's worker does: the run gets a session of its own, and its parent goes.
ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", SLEEP], env={**os.environ, "PREFECT__FLOW_RUN_ID": "r1"}) as process:
        yield process
        process.kill()


def test_a_process_is_found_by_its_number_and_its_start(sleeper: "subprocess.Popen[bytes]") -> None:
    mark = mark_process(sleeper.pid)
    assert mark.find() == psutil.Process(sleeper.pid)
    assert replace(mark, started_at=mark.started_at - 60).find() is None, "another process had its number"
    assert find_family("no such token", [mark]) == [psutil.Process(sleeper.pid)]
    sleeper.kill()
    sleeper.wait()
    assert mark.find() is None


def test_a_flow_run_is_known_by_its_process(sleeper: "subprocess.Popen[bytes]") -> None:
    wait_for("its start", lambda: "r1" in list_flow_runs())
    sleeper.kill()
    sleeper.wait()
    assert "r1" not in list_flow_runs()


def test_an_orphan_in_its_own_session_is_found_by_its_token() -> None:
    environment = {**os.environ, MARK_VARIABLE: "token-of-a-test"}
    subprocess.run([sys.executable, "-c", ORPHAN], env=environment, check=True)
    (orphan,) = find_family("token-of-a-test", [])
    end_processes([orphan], patience_seconds=5)
    assert find_family("token-of-a-test", []) == []


def test_a_process_that_does_not_listen_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf\n"
        end_processes([psutil.Process(process.pid)], patience_seconds=0.2)
        assert not psutil.pid_exists(process.pid)


def test_a_service_that_dies_waits_longer_each_time(tmp_path: Path) -> None:
    service = Service("mlflow", [sys.executable, "-c", "print('no port'); exit(3)"], {}, tmp_path, tmp_path / "a.log")
    waits = []
    for _ in range(8):
        service.start()
        assert wait_for("its death", service.read_exit, 30) == 3
        assert service.read_exit() is None, "told once"
        assert not service.is_due()
        waits.append(service.wait_seconds)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    service.start()
    with pytest.raises(Unavailable, match="mlflow failed: no port; its log is"):
        service.wait()


def test_an_end_is_told_in_words() -> None:
    assert describe_exit(-signal.SIGKILL) == "was ended by SIGKILL"
    assert describe_exit(3) == "ended with exit code 3"


def test_a_state_is_read_back_and_a_dead_servers_address_is_not_used(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    assert (read_state(tmp_path), find_running_api(tmp_path)) == (None, None)
    port = find_free_port()
    mark = mark_process(sleeper.pid)
    state = UpState("t", f"http://127.0.0.1:{port}", "http://127.0.0.1:1", {SERVER: mark})
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert find_running_api(tmp_path) is None, "it does not answer"
    (tmp_path / "up.json").write_text('{"of": "another release"}')
    assert read_state(tmp_path) is None


def test_a_port_that_is_taken_is_not_given() -> None:
    port = find_free_port()
    assert find_free_port(port) == port
    assert not is_listening(os.getpid(), port)
    command = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('listens', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listens\n"
        assert find_free_port(port) != port
        assert is_listening(process.pid, port)
        assert is_listening(os.getpid(), port), "a child of ours"
        with subprocess.Popen([sys.executable, "-c", SLEEP]) as other:
            assert not is_listening(other.pid, port)
            other.kill()
        process.communicate(b"\n")
