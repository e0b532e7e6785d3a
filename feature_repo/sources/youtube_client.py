"""The YouTube Data API v3 through Google's client: one page at a time, tried again where that may help.

The only module that knows Google's client. It sends the key as a header, so that no address and no message
holds it. What pages mean belongs to `youtube_rows`, which are asked for to `youtube_listing`.
"""

import logging
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any, Final, TypeAlias

import httplib2
import stamina
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

from feature_repo.errors import BadData, Unavailable
from feature_repo.sources.youtube_faults import Rejected, read_fault
from feature_repo.sources.youtube_quota import Quota

_log = logging.getLogger(__name__)

Parameters: TypeAlias = Mapping[str, str | int]

_ATTEMPTS: Final = 6
_LONGEST_WAIT: Final = timedelta(seconds=60)
_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: its items as YouTube has them, the next page's token (None at the end), when it was asked for."""

    items: tuple[dict[str, Any], ...]
    next_token: str | None
    observed_at: datetime


class YouTubeApi:
    """The list methods of the API; every call counts against the quota.

    Not for several threads at once: connections are kept open between calls.

    Parameters
    ----------
    key
        API key.
    base_url
        Where the API is, if not at Google's address: a proxy of yours, or a test's server. It is sent the key.
    first_wait
        Wait before the second attempt of a call; it doubles with each.
    """

    def __init__(
        self, key: str, quota: Quota, *, base_url: str | None = None, first_wait: timedelta = timedelta(seconds=1)
    ) -> None:
        if not key.isascii() or not key.isprintable() or not key:
            raise BadData("the API key is not one: expected printable ASCII characters in SCORELAKE_YOUTUBE_API_KEY")
        self.quota = quota
        self._key = key
        self._first_wait = first_wait
        connection = httplib2.Http(timeout=_TIMEOUT_SECONDS)
        connection.follow_redirects = False  # the header with the key would go along
        weakref.finalize(self, connection.close)  # Google's client is full of cycles, and closes nothing by itself
        self._service = build(
            "youtube",
            "v3",
            http=connection,
            static_discovery=True,
            client_options={"api_endpoint": f"{base_url.rstrip('/')}/"} if base_url else None,
        )

    def read_page(self, method: str, parameters: Parameters, token: str | None = None) -> Page:
        """One page of a list method, such as commentThreads.

        Rate limits, errors of the server and of the network are tried again, ever more slowly.

        Raises
        ------
        QuotaSpent
            If our budget or YouTube's quota is used up.
        Rejected
            If YouTube refuses this request, but may answer others.
        BadData
            If the key is not accepted.
        Unavailable
            If YouTube or the network does not answer, or all attempts fail.
        """
        attempts = stamina.retry_context(
            on=Unavailable,
            attempts=_ATTEMPTS,
            timeout=None,
            wait_initial=self._first_wait,
            wait_max=_LONGEST_WAIT,
            wait_jitter=self._first_wait,
        )
        for attempt in attempts:
            with attempt:
                page = self._ask(method, {**parameters, **({"pageToken": token} if token else {})})
        return page

    def read_pages(self, method: str, parameters: Parameters) -> Iterator[Page]:
        """Every page of a list method; a page token that is refused begins the list again, once.

        The pages before it come twice then. Raises as `read_page` does.
        """
        token, may_begin_again = None, True
        while True:
            try:
                page = self.read_page(method, parameters, token)
            except Rejected as refusal:
                if not (token and refusal.may_be_page_token and may_begin_again):
                    raise
                token, may_begin_again = None, False
                continue
            yield page
            token = page.next_token
            if token is None:
                return

    def _ask(self, method: str, parameters: Parameters) -> Page:
        observed_at = self.quota.take(method)
        request: HttpRequest = getattr(self._service, method)().list(**parameters)
        request.headers["X-Goog-Api-Key"] = self._key
        answer = self._execute(method, request)
        _log.debug("method=%s items=%d", method, len(answer.get("items", ())))
        return Page(tuple(answer.get("items", ())), answer.get("nextPageToken"), observed_at)

    def _execute(self, method: str, request: HttpRequest) -> dict[str, Any]:
        try:
            answer = request.execute()
        except HttpError as error:
            raise read_fault(error.status_code, error.content, self._key).build_error(method) from None
        except (httplib2.HttpLib2Error, HTTPException, OSError) as error:
            raise Unavailable(f"YouTube cannot be reached ({type(error).__name__}: {error}). Try again later") from None
        except UnicodeDecodeError:
            answer = None
        if not isinstance(answer, dict):  # Google's client hands on as text what is no JSON
            raise Unavailable(f"YouTube's answer to {method} is not a JSON object: a proxy in between? Try again later")
        return answer
