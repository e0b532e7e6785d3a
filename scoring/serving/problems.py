"""Problem details (RFC 9457): how it is said that there is no answer."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from feature_repo.errors import BadData, ScorelakeError, Unavailable

_MOST_ERRORS: Final = 20


class RequestRefused(HTTPException):
    """A request that gets no other answer than this."""

    def __init__(self, status: int, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(status, detail)
        self.retry_after = retry_after

    def build_answer(self) -> Response:
        """Build the answer that says so."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status_code == HTTPStatus.UNAUTHORIZED else None
        return build_problem(self.status_code, self.detail, headers=headers, retry_after=self.retry_after)


def build_problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> Response:
    """Build the answer that there is none, and why."""
    said: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **({"errors": list(errors)} if errors else {}),
    }
    told = dict(headers or {})
    if retry_after is not None:
        told["Retry-After"] = str(max(1, round(retry_after)))
    return Response(orjson.dumps(said), status, told, "application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Have every error of an app be told as a problem."""
    app.add_exception_handler(RequestRefused, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ScorelakeError, _answer_ours)
    app.add_exception_handler(Exception, _answer_unknown)


async def _answer_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)  # noqa: S101 - what the handler is for
    return error.build_answer()


async def _answer_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is for
    details = {404: "there is nothing here; see /openapi.json", 405: "not with this method; see /openapi.json"}
    detail = details.get(error.status_code, "the body is not JSON in UTF-8")
    return build_problem(error.status_code, detail, headers=error.headers)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what the handler is for
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return build_problem(400, "the body is not JSON in UTF-8")
    # What was sent is not said back: it may be anything, and log files are not for texts.
    errors = [{"pointer": _point(one["loc"]), "detail": one["msg"]} for one in found[:_MOST_ERRORS]]
    return build_problem(422, f"{len(found)} places are not as described in /openapi.json", errors=errors)


async def _answer_ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, ScorelakeError)  # noqa: S101 - what the handler is for
    if isinstance(error, BadData):
        return build_problem(404, str(error))
    return build_problem(503, str(error), retry_after=10 if isinstance(error, Unavailable) else 60)


async def _answer_unknown(_: Request, __: Exception) -> Response:
    return build_problem(500, "something is broken here; the log of the service says what")


def _point(place: Iterable[str | int]) -> str:
    """A JSON pointer into the body, or the name of a parameter."""
    where, *rest = place
    if where != "body":
        return str(rest[0]) if rest else str(where)
    return "".join(f"/{str(one).encode(errors='replace').decode()}" for one in rest)
