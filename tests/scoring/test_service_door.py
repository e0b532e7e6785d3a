"""Who may ask, how often and how much; and that what is refused costs no model time."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake
from flows.serve import serve as serve_settings
from flows.settings import Settings
from scoring.serving.door import Bounds, Door, Origins, parse_rate
from scoring.serving.keys import hash_key, make_key, parse_hashes
from tests.scoring.conftest import SERVED_AT
from tests.scoring.serving import EXTENSION, KEY, Client, serve

pytestmark = pytest.mark.path

ASKED = {"texts": [{"text": "hello"}], "top_words": 0}
ROUTES = [
    ("POST", "/v1/sentiment/score"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/comments/a"),
    ("GET", "/v1/channels"),
    ("GET", "/v1/channels/c/daily"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
    ("GET", "/nothing"),
]


def ask(client: Client, headers: dict[str, str], method: str = "POST", path: str = "/v1/sentiment/score") -> Any:
    body = {"json": ASKED} if method == "POST" else {}
    return httpx.request(method, f"{client.address}{path}", headers=headers, **body)


def check_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    said: dict[str, Any] = answer.json()
    assert (said["type"], said["status"]) == ("about:blank", status)
    assert said["title"]
    assert said["detail"]
    return said


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": ""}])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_key_nothing_is_told(client: Client, headers: dict[str, str], method: str, path: str) -> None:
    before = client.serving.scorer.texts_scored
    answer = ask(client, headers, method, path)
    check_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert client.serving.scorer.texts_scored == before


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"}]
)
def test_a_key_is_taken_from_either_header(client: Client, headers: dict[str, str]) -> None:
    assert ask(client, headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/openapi.json", "/health/live", "/health/ready"])
def test_what_holds_nothing_of_people_needs_no_key(client: Client, path: str) -> None:
    assert ask(client, {}, "GET", path).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", EXTENSION.replace("abc", "xyz"), "http://127.0.0.1"]
)
def test_a_page_of_another_origin_is_refused_whatever_its_key(client: Client, origin: str) -> None:
    before = client.serving.scorer.texts_scored
    for headers in ({"Origin": origin}, {"Origin": origin, "X-API-Key": KEY}):
        answer = ask(client, headers)
        check_problem(answer, 403)
        assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    check_problem(ask(client, preflight, "OPTIONS"), 403)
    assert client.serving.scorer.texts_scored == before


def test_the_extension_and_the_services_own_page_may_ask(client: Client) -> None:
    own = client.address
    assert ask(client, {"Origin": own, "X-API-Key": KEY}).status_code == 200
    answer = ask(client, {"Origin": EXTENSION, "X-API-Key": KEY})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == EXTENSION
    assert "access-control-allow-credentials" not in answer.headers
    # What is refused can be read by the extension, too.
    assert ask(client, {"Origin": EXTENSION}).headers["access-control-allow-origin"] == EXTENSION


def test_a_preflight_of_the_extension_names_what_it_may_send(client: Client) -> None:
    asked = {
        "Origin": EXTENSION,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = ask(client, asked, "OPTIONS")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert {"authorization", "content-type", "x-api-key"} <= set(
        answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    )


def test_over_the_limit_it_is_said_when_to_go_on(served_home: Path) -> None:
    with serve(Lake(served_home), rate="3/minute") as client:
        assert [client.score("hello").status_code for _ in range(3)] == [200] * 3
        before = client.serving.scorer.texts_scored
        answer = client.score("hello")
        check_problem(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.serving.scorer.texts_scored == before
        assert ask(client, {}).status_code == 401, "a limit is a key's"
        assert client.http.get("/health/ready").status_code == 200


async def _ask_app(app: Any, headers: dict[str, str], body: list[bytes]) -> tuple[int, int]:
    """The status of the answer, and how many parts of the body were read."""
    read, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        await asyncio.sleep(0)
        return {"type": "http.request", "body": body[read - 1], "more_body": read < len(body)}

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/sentiment/score",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    return sent[0]["status"], read


async def _never(*_: Any) -> None:
    raise AssertionError("it must not be asked")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Origin": "https://evil.example", "X-API-Key": KEY}, 403),
        ({"X-API-Key": KEY, "Content-Type": "application/json", "Content-Length": str(1 << 21)}, 413),
        ({"X-API-Key": KEY, "Content-Type": "text/plain", "Content-Length": "5"}, 415),
    ],
)
def test_what_is_refused_is_not_read(headers: dict[str, str], status: int) -> None:
    bounds = Bounds([hash_key(KEY)], [EXTENSION], "1/minute", 5)
    refused: list[str] = []
    door = Door(_never, bounds=bounds, now=lambda: SERVED_AT, refused=refused.append)
    app = Origins(door, origins=bounds.origins, refused=refused.append)
    assert asyncio.run(_ask_app(app, headers, [b"x" * 100] * 50)) == (status, 0)
    assert len(refused) == 1


def test_a_body_that_does_not_tell_its_length_is_read_up_to_the_limit(client: Client) -> None:
    def parts() -> Any:
        for _ in range(200):
            yield b" " * 10_000

    answer = client.http.post("/v1/sentiment/score", content=parts(), headers={"content-type": "application/json"})
    check_problem(answer, 413)
    assert client.score("hello").status_code == 200


def test_a_body_that_does_not_come_is_given_up(served_home: Path) -> None:
    with (
        serve(Lake(served_home), seconds=1) as client,
        socket.create_connection(("127.0.0.1", client.http.base_url.port or 0)) as slow,
    ):
        slow.sendall(
            b"POST /v1/sentiment/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n{"
        )
        slow.settimeout(20)
        assert slow.recv(100).startswith(b"HTTP/1.1 504 ")


def test_a_key_is_random_and_known_by_its_hash_alone() -> None:
    one, other = make_key(), make_key()
    assert one.key != other.key
    assert len(one.key) >= 43
    assert parse_hashes(f"{one.sha256}, {other.sha256}\n") == (hash_key(one.key), hash_key(other.key))


def test_what_is_no_hash_is_named_by_its_place_and_never_shown() -> None:
    with pytest.raises(BadData, match="SHA-256 hashes of 64 hex digits; number 2 is none") as found:
        parse_hashes(f"{hash_key(KEY)} my-plain-key")
    assert "my-plain-key" not in str(found.value)


def test_what_is_no_rate_is_said() -> None:
    with pytest.raises(BadData, match="a rate is written like 600/minute or 20/second; found 'often'"):
        parse_rate("often")


def test_other_machines_need_keys(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"other machines reach 0\.0\.0\.0: set SCORELAKE_API_KEYS first"):
        serve_settings(Settings(home=tmp_path), "0.0.0.0", 0, print)  # noqa: S104 - it is refused


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Unavailable, match="choose another --port"):
        serve_settings(Settings(home=tmp_path), "127.0.0.1", taken.getsockname()[1], print)


def test_hashes_are_masked_where_settings_are_shown() -> None:
    assert hash_key(KEY) not in json.dumps(Settings(api_keys=hash_key(KEY)).model_dump(), default=str)
