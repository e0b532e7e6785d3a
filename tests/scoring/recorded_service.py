"""`scorelake serve` as its users start it, and before it a door that writes down what comes through."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came through; `status` is what was answered."""

    method: str
    path: str
    origin: str | None
    body: bytes
    status: int

    @property
    def texts(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["texts"])


class Recorder:
    """Passes requests on to the service and writes them down.

    `before` is done once, when the next texts come; `alter` changes an answer of scores on its way back, for a test of
    what a service that means harm could do.
    """

    def __init__(self, key: str, port: int) -> None:
        self.key, self.port = key, port
        self.address = ""
        self.requests: list[Recorded] = []
        self.before: Callable[[], None] | None = None
        self.alter: Callable[[Answer], Answer] | None = None

    @property
    def posted(self) -> list[Recorded]:
        return [one for one in self.requests if one.method == "POST"]

    def forget(self) -> None:
        self.requests.clear()
        self.before = self.alter = None

    def use_up(self) -> None:
        """Ask until the service says that it was too often."""
        while self.ask("GET", "/v1/models", {"X-API-Key": self.key}, b"")[0] != 429:
            pass

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[Any], bytes]:
        if method == "POST" and self.before:
            before, self.before = self.before, None
            before()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        if self.alter and method == "POST" and path.endswith("/score"):
            said = json.dumps(self.alter(json.loads(said))).encode()
        self.requests.append(Recorded(method, path, headers.get("Origin"), body, response.status))
        return response.status, response.getheaders(), said


@contextmanager
def serve_recorded(home: Path, folder: Path, **settings: str) -> Iterator[Recorder]:
    """The service of a home, on free ports of this machine; settings bear the names of the environment."""
    environment = {**os.environ, "SCORELAKE_HOME": str(home), **settings}
    command = [sys.executable, "-m", "flows.cli", "serve", "--port", "0", "--json"]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said)
    try:
        receipt = read_receipt(process)
        recorder = Recorder(receipt["key"], int(receipt["address"].rpartition(":")[2]))
        with open_door(recorder):
            wait_until_ready(recorder)
            yield recorder
    finally:
        process.terminate()
        process.wait(timeout=60)


def read_receipt(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """What the service says when it listens; it is given on a line or several."""
    said = b""
    for line in process.stdout or ():
        said += line
        if line.rstrip() == b"}" or (line.startswith(b"{") and line.rstrip().endswith(b"}")):
            return dict(json.loads(said))
    raise AssertionError(f"the service ended: {said!r}")


def wait_until_ready(recorder: Recorder) -> None:
    until = time.monotonic() + 60
    while not is_ready(recorder):
        assert time.monotonic() < until, "the service does not become ready"
        time.sleep(0.05)


def is_ready(recorder: Recorder) -> bool:
    try:
        return recorder.ask("GET", "/health/ready", {}, b"")[0] == 200
    except ConnectionRefusedError:
        return False


@contextmanager
def open_door(recorder: Recorder) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, said = recorder.ask(self.command, self.path, dict(self.headers), body)
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_OPTIONS = pass_on  # noqa: N815 - as the library calls them

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        recorder.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
