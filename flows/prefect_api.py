"""Prefect's client on one API, with its errors translated."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient

from feature_repo.errors import Unavailable


@contextmanager
def open_client(api: str) -> Iterator[SyncPrefectClient]:
    """Open Prefect's client on an API; raises `Unavailable` if it does not answer as it should."""
    try:
        with SyncPrefectClient(api) as client:
            yield client
    except httpx.HTTPError as error:
        raise Unavailable(f"the Prefect API at {api} does not answer as it should: {error}") from error
