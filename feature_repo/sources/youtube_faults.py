"""What an error answer of the YouTube Data API means: try again, wait for tomorrow, mend the key, or leave it.

Reasons are those of YouTube's and Google's documentation of errors; the answers are JSON. Asking and asking
again belongs to `youtube_client`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from feature_repo.errors import BadData, Refused, ScorelakeError, Unavailable

_KEY: Final = re.compile(
    r"key|accessNotConfigured|SERVICE_DISABLED|CONSUMER_|Referer|Referrer|authError", re.IGNORECASE
)
_QUOTA: Final = frozenset({"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"})
_RATE: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
# Documented as invalidPageToken; comments and their threads answer processingFailure to an old token.
_TOKEN: Final = frozenset({"invalidPageToken", "processingFailure"})
_MARKUP: Final = re.compile(r"<[^>]*>")
_SHOWN_CHARS: Final = 300
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class QuotaSpent(Refused):
    """The day's units are used up, by our budget or by YouTube's own count."""


class Rejected(BadData):
    """YouTube refuses this one request; others may go on.

    Parameters
    ----------
    reason
        YouTube's reason code, such as commentsDisabled.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def may_be_page_token(self) -> bool:
        """Whether the reason may be a page token that has expired, if the request had one."""
        return self.reason in _TOKEN


@dataclass(frozen=True, slots=True)
class Fault:
    """One error answer: its HTTP status, reason codes (most telling first) and message, the key taken out."""

    status: int
    reasons: tuple[str, ...]
    message: str

    def build_error(self, method: str) -> ScorelakeError:
        """The error that this answer to a method is for us."""
        found = f"YouTube answered {self.status} {'/'.join(self.reasons)} to {method}: {self.message}"
        if self._is_of_the_day:
            return QuotaSpent(f"today's quota of the key is used up ({found})")
        if self.status == _TOO_MANY or self.status >= _SERVER_ERROR or _RATE.intersection(self.reasons):
            return Unavailable(f"{found}. Try again later")
        if any(_KEY.search(reason) for reason in self.reasons):
            return BadData(
                f"YouTube does not accept the API key ({found}). Check SCORELAKE_YOUTUBE_API_KEY: whether it is whole, "
                "belongs to a project with the YouTube Data API v3 enabled, and is not restricted to another use"
            )
        return Rejected(found, self.reasons[0])

    @property
    def _is_of_the_day(self) -> bool:
        # A spent day is also told as a rate limit "... per day", which no waiting of ours outlasts.
        is_rate = _RATE.intersection(self.reasons)
        return bool(_QUOTA.intersection(self.reasons) or (is_rate and "per day" in self.message))


def read_fault(status: int, content: bytes, key: str) -> Fault:
    """The fault that an answer tells.

    Parameters
    ----------
    content
        Body of the answer; what is no JSON of Google's tells no reason but "unknown".
    key
        The API key: YouTube's message may quote it, and it must not be told on.

    Examples
    --------
    >>> body = b'{"error": {"message": "no <b>such</b> video", "errors": [{"reason": "videoNotFound"}]}}'
    >>> read_fault(404, body, "secret")
    Fault(status=404, reasons=('videoNotFound',), message='no such video')
    """
    error = _read_error(content)
    message = _MARKUP.sub("", str(error.get("message", "no reason given"))).replace(key, "<key>")
    reasons = tuple(dict.fromkeys(_read_reasons(error))) or ("unknown",)
    return Fault(status, reasons, message[:_SHOWN_CHARS])


def _read_error(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    error = told.get("error") if isinstance(told, dict) else None
    return error if isinstance(error, dict) else {}


def _read_reasons(error: dict[str, Any]) -> Iterator[str]:
    """Reason codes: Google's details are more telling than the errors, which may only say badRequest."""
    for part in (*error.get("details", ()), *error.get("errors", ())):
        reason = part.get("reason")
        if reason:
            yield str(reason)
