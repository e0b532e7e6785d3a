"""Plain calls of a Prefect API, as any client makes them."""

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest


def call(url: str, body: Any = None, method: str | None = None, auth: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else {}
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    for attempt in range(10):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
            break
        except urllib.error.HTTPError as error:  # its SQLite is busy, and it wants to be asked again
            if error.code != 503 or attempt == 9:
                raise
            time.sleep(1)
    return json.loads(content) if content else None


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):  # not up yet; the deadline is what fails the test
            if found := condition():
                return found
        time.sleep(0.2)
    pytest.fail(f"{what} did not happen within {seconds} s")
