"""The Prefect API that a command talks to: the one that is set, that of `scorelake up`, or one of its own.

A command's own server starts beside it, while the heavy libraries load, and keeps its state under the
lake's home, so that the Prefect UI shows every run that any command has made.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_repo.databases import build_url, parse_address
from feature_repo.errors import Unavailable
from flows.processes import is_listening
from flows.up_state import SERVER, read_state

_START_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A Prefect server on a free loopback port, started but perhaps not ready yet."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait(self) -> None:
        """Wait until the server answers; raises `Unavailable` if it does not come up."""
        deadline = time.monotonic() + _START_SECONDS
        port = urlsplit(self.url).port or 0
        while not (is_answering(f"{self.url}/health") and is_listening(self.process.pid, port)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"the Prefect server did not start; its log is {self.log}")
            time.sleep(0.1)


def set_environment(home: Path, database: str | None = None) -> None:
    """Point Prefect at the state under `home`; must come before Prefect is imported.

    What the operator has set stays. Nothing is reported to the network.

    Parameters
    ----------
    database
        Address of a PostgreSQL database for what a server started from here keeps; a file under `home` if None.
    """
    if database is not None:
        # In the environment, and not among arguments, which every user of the machine may see.
        for name, value in _build_database(database).items():
            os.environ.setdefault(name, value)
    defaults = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # runs older than 90 days leave its database
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # commands speak for themselves
        "PREFECT_LOGGING_HANDLERS_API_LEVEL": "INFO",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",  # as in prefect.yaml; see flows/automations.py
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # what its server says while its database is away
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _build_database(address: str) -> dict[str, str]:
    """Variables by which Prefect reaches a database, with the certificates that the address names."""
    words, tls = parse_address(address), "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_"
    found = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": build_url(address, "asyncpg")}
    if not str(words.get("sslmode", "")).startswith("verify-"):
        return found
    files = {"CA_FILE": words.get("sslrootcert"), "CERT_FILE": words.get("sslcert"), "KEY_FILE": words.get("sslkey")}
    given = {f"{tls}{name}": file for name, file in files.items() if file and file != "system"}
    return {**found, **given, f"{tls}ENABLED": "true", f"{tls}CHECK_HOSTNAME": str(words["sslmode"] == "verify-full")}


@contextmanager
def serve_api(home: Path, database: str | None = None) -> Iterator[LocalServer | None]:
    """Start a server for one command, or nothing if PREFECT_API_URL names one or `scorelake up` has one running."""
    set_environment(home, database)
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    running = find_running_api(home)
    server = None if running else _start(home)
    os.environ["PREFECT_API_URL"] = server.url if server else str(running)
    try:
        yield server
    finally:
        _flush_logs()
        del os.environ["PREFECT_API_URL"]
        if server:
            end_process(server.process)


def find_api(home: Path) -> str | None:
    """The Prefect API that lasts: the one that is set, or that of a running `scorelake up`; None if there is none."""
    return os.environ.get("PREFECT_API_URL") or find_running_api(home)


def find_running_api(home: Path) -> str | None:
    """Find the Prefect API of the `scorelake up` that runs on a home; None if there is none, or it does not answer."""
    state = read_state(home)
    if state is None or SERVER not in state.processes or not state.processes[SERVER].find():
        return None  # another program may have the port by now
    return state.api if is_answering(f"{state.api}/health") else None


def end_process(process: "subprocess.Popen[bytes]", *, patience_seconds: float = 15) -> None:
    """End a process of ours: asked first, then, if it will not go, killed."""
    process.terminate()
    try:
        process.wait(timeout=patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_free_port(preferred: int = 0) -> int:
    """Find a TCP port on loopback that nobody listens on: the preferred one, or else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or one is taken for a minute after its server
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            return find_free_port()
        port: int = probe.getsockname()[1]
    return port


def _start(home: Path) -> LocalServer:
    port = find_free_port()
    log = home / "prefect" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [*command, "--no-services"],
            env={**os.environ, "PREFECT_UI_ENABLED": "false"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return LocalServer(f"http://127.0.0.1:{port}/api", process, log)


def _flush_logs() -> None:
    """Send what Prefect still has to log; without its server it would complain on the terminal."""
    if "prefect.logging.handlers" in sys.modules:
        from prefect.logging.handlers import APILogHandler  # noqa: PLC0415 - Prefect takes seconds

        APILogHandler().flush()


def is_answering(url: str) -> bool:
    """Whether a server answers at an address of ours."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's "OK"
    except (urllib.error.URLError, OSError):
        return False
