"""The door: who may ask, how often, and how much. What it refuses costs no model time, and its body is not read.

In this order: an origin that is not allowed, a key that is not known, a key that asks too often, a body that is too
large or no JSON.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, NoReturn

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers

from feature_repo.errors import BadData
from scoring.serving.keys import hash_key
from scoring.serving.problems import RequestRefused, build_problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 1 << 20
_OPEN: Final = frozenset({"/", "/page.js", "/page.css", "/openapi.json", "/health/live", "/health/ready"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Who may ask, and how much.

    Parameters
    ----------
    hashes
        SHA-256 of the keys that are known.
    origins
        Origins of pages of others that may ask; pages of the service's own always may.
    rate
        Requests with one key, such as "600/minute".
    seconds
        After which a request is given up.
    """

    hashes: Sequence[str]
    origins: Collection[str]
    rate: str
    seconds: float


def parse_rate(text: str) -> RateLimitItem:
    """A rate such as "600/minute"; raises `BadData` if it is none."""
    try:
        return parse(text)
    except ValueError:
        raise BadData(f"a rate is written like 600/minute or 20/second; found {text!r}") from None


class Origins:
    """ASGI middleware that answers what comes from pages that may not ask."""

    def __init__(self, app: "ASGIApp", *, origins: Collection[str], refused: Tell) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._refused = refused

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http" or self._may_ask(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        self._refused("origin")
        detail = "this origin may not ask; SCORELAKE_SERVE_ORIGINS names those that may"
        await build_problem(403, detail)(scope, receive, send)

    def _may_ask(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        own = {f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")}
        return origin is None or origin in self._origins or origin in own


class Door:
    """ASGI middleware that answers what may not pass, and ends what takes too long.

    Parameters
    ----------
    now
        The clock.
    refused
        Is told why a request did not pass: key, rate, size, type or time.
    """

    def __init__(self, app: "ASGIApp", *, bounds: Bounds, now: Callable[[], datetime], refused: Tell) -> None:
        self._app = app
        self._hashes = tuple(bounds.hashes)
        self._rate = parse_rate(bounds.rate)
        self._seconds = bounds.seconds
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._now = now
        self._refused = refused

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RequestRefused as refusal:
            await refusal.build_answer()(scope, receive, send)
            return
        await self._pass(scope, receive, send)

    def _check(self, scope: "Scope") -> None:
        headers = Headers(scope=scope)
        if scope["path"] in _OPEN:
            return
        self._check_rate(self._check_key(headers))
        if scope["method"] in _WITH_BODY:
            self._check_body(headers)

    def _check_key(self, headers: Headers) -> str:
        scheme, _, told = headers.get("authorization", "").partition(" ")
        found = hash_key(told.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", ""))
        # All are compared, so that the time tells nothing.
        if sum(compare_digest(found, known) for known in self._hashes) == 0:
            self._refuse("key", 401, "no key, or none that is known; send it as `Authorization: Bearer KEY`")
        return found

    def _check_rate(self, key: str) -> None:
        if not self._limiter.hit(self._rate, key):
            wait = self._limiter.get_window_stats(self._rate, key).reset_time - self._now().timestamp()
            said = f"more than {self._rate} with this key; Retry-After says when to go on"
            self._refuse("rate", 429, said, retry_after=wait)

    def _check_body(self, headers: Headers) -> None:
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            self._refuse("type", 415, "send application/json")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._refuse_size()

    async def _pass(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, count its bytes, and end it when its time is over."""
        read, is_started = 0, False

        async def receive_some() -> "Message":
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                self._refuse_size()
            return message

        async def send_on(message: "Message") -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive_some, send_on)
        except TimeoutError:
            if is_started:
                raise
            self._refused("time")
            await build_problem(504, f"it took longer than {self._seconds:g} s")(scope, receive, send)

    def _refuse_size(self) -> NoReturn:
        self._refuse("size", 413, f"a body has at most {MOST_BYTES:,} bytes")

    def _refuse(self, reason: str, status: int, detail: str, *, retry_after: float | None = None) -> NoReturn:
        self._refused(reason)
        raise RequestRefused(status, detail, retry_after=retry_after)
