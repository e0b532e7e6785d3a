"""The service as a process: its address, its keys, and how it ends."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from feature_repo.errors import BadData, Unavailable
from flows.report import Report
from flows.settings import Settings
from flows.transport import is_loopback
from scoring.serving.door import Bounds, parse_rate
from scoring.serving.keys import NewKey, make_key, parse_hashes

# Requests under way are answered before the process ends.
_PATIENCE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class ServeReceipt:
    """Where the service listens; `key` is one that was made for this run, None if keys are set."""

    address: str
    home: str
    key: str | None


def serve(settings: Settings, host: str, port: int, show: Callable[[ServeReceipt], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; then answer what is under way, and end.

    Raises
    ------
    BadData
        If other machines could reach it and no key is set, or a setting is wrong.
    Unavailable
        If the address is in use.
    """
    import uvicorn  # noqa: PLC0415 - takes a while, and a wrong setting is said before

    from scoring.service import build_app  # noqa: PLC0415 - the same
    from scoring.serving.work import ServiceOptions  # noqa: PLC0415 - the same

    hashes = parse_hashes(settings.api_keys.get_secret_value() if settings.api_keys else "")
    made = None if hashes else _make_own_key(host)
    parse_rate(settings.serve_rate)
    bounds = Bounds(
        hashes=(made.sha256,) if made else hashes,
        origins=settings.serve_origins,
        rate=settings.serve_rate,
        seconds=settings.serve_seconds,
    )
    os.environ["SCORELAKE_HOME"] = str(settings.home)
    options = ServiceOptions(bounds, _read_clock, threads=settings.serve_threads)
    config = uvicorn.Config(
        build_app(settings.lake, options),
        access_log=False,  # paths name comments
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE_SECONDS,
    )
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    show(ServeReceipt(f"http://{shown}:{listening.getsockname()[1]}", str(settings.home), made.key if made else None))
    uvicorn.Server(config).run([listening])


def _make_own_key(host: str) -> NewKey:
    if not host or not is_loopback(host):  # no host is every one
        raise BadData(
            f"other machines reach {host or 'it'}: set SCORELAKE_API_KEYS first (`scorelake serve --new-key` makes a "
            "key and its hash), or serve on 127.0.0.1"
        )
    return make_key()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # who reads the address and connects at once waits, and is not refused
    except OSError as error:
        raise Unavailable(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from error
    return listening


def _read_clock() -> datetime:
    return datetime.now(UTC)


def build_report(receipt: ServeReceipt) -> Report:
    """Build the report of a service that has begun."""
    facts = {"page": f"{receipt.address}/", "OpenAPI": f"{receipt.address}/openapi.json", "home": receipt.home}
    key = {"key of this run": receipt.key} if receipt.key else {}
    return Report(f"serving on {receipt.address}; Ctrl-C ends it", facts | key)


def build_key_report(made: NewKey) -> Report:
    """Build the report of a fresh key."""
    facts = {"key": made.key, "its hash": made.sha256}
    return Report("a key; shown once", facts, notes=("add the hash to SCORELAKE_API_KEYS; the key is the client's",))
