"""What error answers of YouTube mean."""

import json
import os
from pathlib import Path

import pytest

from feature_repo.errors import BadData, ScorelakeError, Unavailable
from feature_repo.sources.youtube_faults import Fault, QuotaSpent, Rejected, read_fault

KEY = "AIzaSy-a-key-for-tests"


def _tell(reason: str, message: str = "no", detail: str | None = None) -> bytes:
    details = {"details": [{"reason": detail}]} if detail else {}
    return json.dumps({"error": {"message": message, "errors": [{"reason": reason}], **details}}).encode()


@pytest.mark.parametrize(
    ("status", "content", "family", "words"),
    [
        (403, _tell("quotaExceeded", "used <b>up</b>"), QuotaSpent, r"today's quota .* 403 quotaExceeded .*used up"),
        (403, _tell("dailyLimitExceeded"), QuotaSpent, "today's quota of the key is used up"),
        (429, _tell("rateLimitExceeded", "limit 'Queries per day' of"), QuotaSpent, "today's quota of the key"),
        (429, _tell("rateLimitExceeded", "limit 'Queries per minute' of"), Unavailable, "Try again later"),
        (403, _tell("rateLimitExceeded"), Unavailable, "403 rateLimitExceeded to videos: no. Try again later"),
        (403, _tell("userRateLimitExceeded"), Unavailable, "Try again later"),
        (500, b"", Unavailable, "YouTube answered 500 unknown to videos: no reason given"),
        (503, b"<html>away</html>", Unavailable, "503 unknown"),
        (400, _tell("keyInvalid"), BadData, "YouTube does not accept the API key .*Check SCORELAKE_YOUTUBE_API_KEY"),
        (400, _tell("badRequest", detail="API_KEY_INVALID"), BadData, "400 API_KEY_INVALID/badRequest"),
        (403, _tell("accessNotConfigured"), BadData, "belongs to a project with the YouTube Data API v3 enabled"),
        (403, _tell("forbidden", detail="API_KEY_IP_ADDRESS_BLOCKED"), BadData, "not restricted to another use"),
        (403, _tell("forbidden", detail="CONSUMER_SUSPENDED"), BadData, "does not accept the API key"),
        (403, _tell("commentsDisabled"), Rejected, "YouTube answered 403 commentsDisabled to videos: no"),
        (404, _tell("videoNotFound"), Rejected, "404 videoNotFound"),
        (403, b'["not", "an object"]', Rejected, "403 unknown"),
    ],
)  # fmt: skip
def test_an_answer_is_told_by_what_to_do_next(
    status: int, content: bytes, family: type[ScorelakeError], words: str
) -> None:
    with pytest.raises(ScorelakeError, match=words) as caught:
        raise read_fault(status, content, KEY).build_error("videos")
    assert type(caught.value) is family


def test_the_key_is_taken_out_of_what_youtube_says() -> None:
    fault = read_fault(403, _tell("CONSUMER_SUSPENDED", f"Consumer 'api_key:{KEY}' has been suspended."), KEY)
    assert fault == Fault(403, ("CONSUMER_SUSPENDED",), "Consumer 'api_key:<key>' has been suspended.")


@pytest.mark.parametrize(("reason", "may_be"), [("invalidPageToken", True), ("processingFailure", True), ("x", False)])
def test_a_page_token_may_be_the_reason(reason: str, may_be: bool) -> None:  # noqa: FBT001 - a table of cases
    assert Rejected("no", reason).may_be_page_token == may_be


def test_a_real_refusal_concerns_the_one_request() -> None:
    folder = os.environ.get("SCORELAKE_TEST_DATA")
    if not folder:
        pytest.skip("SCORELAKE_TEST_DATA is not set: real answers of YouTube are not here")
    content = (Path(folder) / "youtube_api" / "error_permission_resp.json").read_bytes()
    error = read_fault(403, content, KEY).build_error("comments")
    assert (type(error), str(error)) == (
        Rejected,
        "YouTube answered 403 SERVICE_UNAVAILABLE to comments: The caller does not have permission",
    )
