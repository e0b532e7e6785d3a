"""Every answer of the service is one of those in its OpenAPI document, whatever is sent."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from feature_repo.lake import Lake, read_lake
from tests.scoring.serving import KEY, Client
from tests.scoring.test_service_door import check_problem

pytestmark = pytest.mark.path

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
JSON = {"content-type": "application/json"}
OPERATIONS = {
    "POST /v1/{model}/score",
    "POST /v1/feedback",
    "GET /v1/comments/{comment_id}",
    "GET /v1/channels",
    "GET /v1/channels/{channel_id}/daily",
    "GET /v1/models",
    "GET /health/live",
    "GET /health/ready",
}


@pytest.fixture(scope="module")
def operations(client: Client) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{client.address}/openapi.json")
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def test_all_routes_are_in_the_document(operations: dict[str, Any]) -> None:
    assert operations.keys() == OPERATIONS


def list_generations() -> Iterator[tuple[str, GenerationMode]]:
    """Every operation asked as described, and otherwise than described, where there is anything to get wrong."""
    for label, mode in product(sorted(OPERATIONS), GenerationMode):
        if not (mode.is_negative and label.endswith(("/live", "/ready", "/models"))):
            yield label, mode


@pytest.mark.parametrize(
    ("label", "mode"), [pytest.param(*one, id=f"{one[0]}-{one[1].value}") for one in list_generations()]
)
def test_every_answer_is_in_the_document(operations: dict[str, Any], label: str, mode: GenerationMode) -> None:
    operation, asked = operations[label], list[int]()

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        asked.append(case.call_and_validate(headers={"X-API-Key": KEY}, checks=list(CHECKS)).status_code)

    check()
    assert asked


def test_the_examples_of_the_document_work(client: Client) -> None:
    document = client.http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert client.http.post("/v1/sentiment/score", json=schemas["ScoreRequest"]["example"]).status_code == 200
    assert client.http.post("/v1/feedback", json=schemas["FeedbackRequest"]["example"]).status_code == 202
    assert {"ScoreAnswer", "CommentAnswer", "DailyAnswer", "ModelsAnswer", "Problem"} <= schemas.keys()
    assert schemas["ScoreAnswer"]["example"]["results"][0]["words"]


PLANES = [chr((plane << 16) + 0x1000 + offset) for plane in range(17) for offset in (0, 0x61)]


@pytest.mark.parametrize(
    "text",
    [
        *(f"a{char}b" for char in PLANES),
        "".join(PLANES),
        "\u202eevil\u202c \u2067mixed\u2069 العربية עברית",
        "zero\u200bwidth\u200d\u2060\ufeff joined\u034f",
        "\x00",
        "null\x00byte\x00",
        "\x01\x1b[31m\x7f\x80\x9f",
        "e" + "\u0301" * 500,
        "👨‍👩‍👧‍👦🏳️‍🌈🇩🇪",
        " \t\n\u3000",
        "<script>alert(1)</script>",
        "'; drop table raw.comments; --",
        "A" * 10_000,
        "\ud7ff\ue000\uffff\U0010ffff",
    ],
    ids=lambda text: "-".join(f"{ord(char):x}" for char in text[:3]),
)
def test_any_text_gets_probabilities(client: Client, text: str) -> None:
    for model in ("sentiment", "spam"):
        answer = client.score(text, model=model, top_words=5)
        assert answer.status_code == 200, answer.text
        [one] = answer.json()["results"]
        assert sum(one["probabilities"].values()) == pytest.approx(1)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300))
def test_any_text_at_all_gets_probabilities(client: Client, text: str) -> None:
    [one] = client.score(text, top_words=3).json()["results"]
    assert sum(one["probabilities"].values()) == pytest.approx(1)
    assert len(one["words"]) <= 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"texts": [{"text": "\\ud800"}]}', 422),
        (b'{"texts": [{"text": "a\\udfff\\ud800b"}]}', 422),
        (b'{"texts": [{"text": "\xed\xa0\x80"}]}', 422),
        (b'{"texts": [{"text": "\xff\xfe"}]}', 400),
        (b'{"texts": [{"text": "a"}', 400),
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'{"texts": []}', 422),
        (b'{"texts": [{"text": ""}]}', 422),
        (b'{"texts": [{"text": 1}]}', 422),
        (b'{"texts": [{"text": "a", "other": 1}]}', 422),
        (b'{"texts": [{"text": "a", "channel_id": "a\\u0000"}]}', 422),
        (b'{"texts": [{"text": "a", "channel_id": "\\ud800"}]}', 422),
        (b'{"texts": [{"text": "a", "like_count": -1}]}', 422),
        (b'{"texts": [{"text": "a", "like_count": 1e400}]}', 422),
        (b'{"texts": [{"text": "a", "like_count": NaN}]}', 422),
        (b'{"texts": [{"text": "a"}], "top_words": 21}', 422),
        (b'{"texts": "' + b"a" * 1_000_000 + b'"}', 422),
        (b'{"texts": ["' + b"[" * 100_000 + b'"]}', 422),
        (b"[" * 100_000, 400),
        (json.dumps({"texts": [{"text": "a" * 10_001}]}).encode(), 422),
        (json.dumps({"texts": [{"text": "a"}] * 1_001}).encode(), 422),
        (b" " * ((1 << 20) + 1), 413),
    ],
)
def test_what_is_no_request_gets_a_clear_answer(client: Client, body: bytes, status: int) -> None:
    before = client.serving.scorer.texts_scored
    said = check_problem(client.http.post("/v1/sentiment/score", content=body, headers=JSON), status)
    if status == 422:
        assert all(one["detail"] for one in said["errors"])
    assert client.serving.scorer.texts_scored == before


def test_a_megabyte_of_text_is_answered(client: Client) -> None:
    answer = client.score(*["naïve café " * 75] * 1_000)
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 1_000


def test_a_wrong_place_is_pointed_at(client: Client) -> None:
    said = check_problem(client.score("fine", ""), 422)
    assert said["errors"] == [{"pointer": "/texts/1/text", "detail": "String should have at least 1 character"}]


def test_no_answer_repeats_what_was_sent(client: Client) -> None:
    answer = client.http.post("/v1/sentiment/score", json={"texts": [{"text": 7, "hidden": "my secret"}]})
    assert "my secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/none/score", 405), ("GET", "/v2", 404), ("DELETE", "/v1/models", 405)]
)
def test_what_is_not_there_is_said(client: Client, method: str, path: str, status: int) -> None:
    check_problem(client.http.request(method, path), status)


def test_an_unknown_model_is_named_with_those_there_are(client: Client) -> None:
    assert (
        check_problem(client.score("hello", model="irony"), 404)["detail"]
        == "there is no such model; there are sentiment, spam"
    )


def test_a_comment_has_its_scores_in_force_and_why(client: Client, served_home: Path) -> None:
    with read_lake(Lake(served_home)) as connection:
        found = connection.execute(
            "select comment_id, label, p_positive, run_id from scores.sentiment_current "
            "order by confidence desc limit 1"
        ).fetchall()
    [(comment_id, label, p_positive, run_id)] = found
    plain = client.http.get(f"/v1/comments/{comment_id}").json()
    assert [one["model"] for one in plain["scores"]] == ["sentiment", "spam"]
    score = plain["scores"][0]
    assert (score["label"], score["probabilities"]["positive"], score["run_id"]) == (label, p_positive, run_id)
    assert (score["text"], score["words"]) == (None, [])
    explained = client.http.get(f"/v1/comments/{comment_id}", params={"explain": "true"}).json()["scores"][0]
    assert explained["text"]
    assert explained["words"][0]["weight"] > 0
    check_problem(client.http.get("/v1/comments/nobody"), 404)


def test_a_channels_days_add_up_to_its_scores(client: Client, served_home: Path) -> None:
    channel = client.http.get("/v1/channels", params={"limit": 1}).json()["channels"][0]
    days = client.http.get(f"/v1/channels/{channel['channel_id']}/daily", params={"days": 3_000}).json()["days"]
    assert [day["published_on"] for day in days] == sorted(day["published_on"] for day in days)
    assert all(sum(day["labels"].values()) == day["comment_count"] for day in days)
    assert sum(day["comment_count"] for day in days) == channel["comment_count"]
    with read_lake(Lake(served_home)) as connection:
        counted = connection.execute(
            "select count(*) from scores.sentiment_current where channel_id = ? and published_at is not null",
            [channel["channel_id"]],
        ).fetchall()
    assert counted == [(channel["comment_count"],)]
    check_problem(client.http.get("/v1/channels/nobody/daily"), 404)
