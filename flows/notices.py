"""How a notice reaches people: through a Prefect block, or Apprise URLs. The one module that knows Apprise.

An address is a secret (whoever has it can write to the channel): it is never logged, and an error is told by its kind
alone.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutine
from typing import Any, Final

from flows.settings import Settings

Send = Callable[[str, str], None]
# At their levels for debugging, or on failure, they write addresses with their tokens.
_TALKATIVE: Final = ("apprise", "urllib3.connectionpool", "httpx", "requests")


class NoticeFailed(Exception):  # noqa: N818 - it fails no run
    """A notice did not reach its channel; the message names the kind of error and no address."""


def has_channel(settings: Settings) -> bool:
    """Whether there is anybody to tell."""
    return bool(settings.alert_block or settings.alert_urls)


def send_notice(settings: Settings, subject: str, body: str) -> None:
    """Send a notice to every channel that is set; raises `NoticeFailed` if any of them did not take it."""
    failed = []
    with _silenced():
        for name, open_channel in _list_channels(settings).items():
            try:
                open_channel()(subject, body)
            except Exception as error:  # noqa: BLE001 - whatever a service does, it is no reason for a run to fail
                failed.append(f"{name}: {type(error).__name__}")
    if failed:
        raise NoticeFailed("; ".join(failed))


def _list_channels(settings: Settings) -> dict[str, Callable[[], Send]]:
    block, urls = settings.alert_block, settings.alert_urls
    channels: dict[str, Callable[[], Send]] = {}
    if block:
        channels[f"block {block}"] = lambda: _open_block(block)
    if urls:
        channels["SCORELAKE_ALERT_URLS"] = lambda: _open_urls(urls.get_secret_value())
    return channels


def _open_block(name: str) -> Send:
    # Only what is imported is known to Prefect by its name.
    import prefect.blocks.notifications  # noqa: F401, PLC0415 - Prefect takes seconds
    from prefect.blocks.abstract import NotificationBlock  # noqa: PLC0415 - the same
    from prefect.blocks.core import Block  # noqa: PLC0415 - the same
    from prefect.blocks.system import Secret  # noqa: PLC0415 - the same

    block = Block.load(name)
    if isinstance(block, Secret):
        return _open_urls(str(block.get()))
    if not isinstance(block, NotificationBlock):
        raise TypeError

    def send(subject: str, body: str) -> None:
        with block.raise_on_failure():
            # Prefect's own blocks have done it by then; those of others may be asynchronous, as the interface is.
            told: Any = block.notify(body, subject)
            if iscoroutine(told):
                asyncio.run(told)

    return send


def _open_urls(urls: str) -> Send:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - half a second that most runs do not need

    client = Apprise(asset=AppriseAsset(app_id="scorelake", app_desc="scorelake", app_url=""))
    addresses: list[Any] = urls.split()
    if not client.add(addresses):
        raise ValueError

    def send(subject: str, body: str) -> None:
        if not client.notify(body=body, title=subject):
            raise ConnectionError

    return send


@contextmanager
def _silenced() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled
