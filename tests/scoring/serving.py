"""The service as its clients see it: on a free port of this machine, with keys, in a thread of the tests."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import httpx
import uvicorn
from prometheus_client import CollectorRegistry

from feature_repo.lake import Lake
from scoring.service import build_app
from scoring.serving.door import Bounds
from scoring.serving.keys import hash_key
from scoring.serving.work import ServiceOptions, Serving

KEY = "a key for tests"
OTHER_KEY = "a key that is soon used up"
EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"


@dataclass(frozen=True, slots=True)
class Client:
    """A service, and a client with a key."""

    http: httpx.Client
    serving: Serving
    registry: CollectorRegistry
    server: uvicorn.Server

    @property
    def address(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def score(self, *texts: str | dict[str, Any], model: str = "sentiment", top_words: int = 0) -> httpx.Response:
        asked = [{"text": one} if isinstance(one, str) else one for one in texts]
        return self.http.post(f"/v1/{model}/score", json={"texts": asked, "top_words": top_words})


@contextmanager
def serve(
    lake: Lake, *, rate: str = "100000/minute", seconds: float = 30, poll_seconds: float = 0.2
) -> Iterator[Client]:
    bounds = Bounds([hash_key(KEY), hash_key(OTHER_KEY)], [EXTENSION], rate, seconds)
    options = ServiceOptions(bounds, lambda: datetime.now(UTC), poll_seconds=poll_seconds)
    app = build_app(lake, options)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with httpx.Client(base_url=address, headers={"X-API-Key": KEY}, timeout=60) as http:
                wait_until(lambda: is_ready(http))
                yield Client(http, app.state.serving, app.state.registry, server)
        finally:
            server.should_exit = True
            thread.join()


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(is_so: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)
