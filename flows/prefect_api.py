"""Prefect's client on one API, with its errors translated."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from feature_repo.errors import Unavailable

_UNREACHED: Final = "Failed to reach API"  # how Prefect words it before a flow's first request


@contextmanager
def open_client(api: str) -> Iterator[SyncPrefectClient]:
    """Open Prefect's client on an API; raises `Unavailable` if it does not answer as it should."""
    with explain_silence(api), SyncPrefectClient(api, auth_string=PREFECT_API_AUTH_STRING.value()) as client:
        yield client


@contextmanager
def explain_silence(api: str | None = None) -> Iterator[None]:
    """Raise `Unavailable` where Prefect says that its API, the one in use if None, does not answer as it should."""
    try:
        yield
    except (httpx.HTTPError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _UNREACHED not in str(error):
            raise
        where = api or PREFECT_API_URL.value()
        raise Unavailable(f"the Prefect API at {where} does not answer as it should: {error}") from error
