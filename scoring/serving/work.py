"""A lake being served: its champions, its context and what scores, as requests share them."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as read_package_version
from typing import TYPE_CHECKING, Any

from feature_repo.lake import Lake
from scoring.serving.champion import Champions, Served
from scoring.serving.context import OnlineContext
from scoring.serving.door import Bounds
from scoring.serving.feedback import Inbox
from scoring.serving.scorer import Scorer
from training.provenance import read_provenance
from training.spec import list_specs, read_spec

if TYPE_CHECKING:
    from feature_repo.online import OnlineState

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How the service works.

    Parameters
    ----------
    bounds
        Who may ask, and how much.
    now
        The clock.
    threads
        How many score beside each other.
    poll_seconds
        How often it is looked who is champion, and whether the online store was filled.
    """

    bounds: Bounds
    now: Callable[[], datetime]
    threads: int = 2
    poll_seconds: float = 5.0


@dataclass(slots=True)
class Serving:
    """A lake being served: what requests share."""

    lake: Lake
    options: ServiceOptions
    champions: Champions
    context: OnlineContext
    scorer: Scorer
    inbox: Inbox
    code_version: str
    _swaps_seen: int = 0

    def follow(self) -> None:
        """Look once what the online store holds and who is champion; what cannot be seen stays as it was."""
        for look in (self.context.refresh, self.champions.poll):
            try:
                look()
            except Exception as error:  # noqa: BLE001 - whatever is written to just now, the next look finds it whole
                _log.warning("not followed: %s: %s", type(error).__name__, error)
        swaps = sum(self.champions.swaps.values())
        if swaps != self._swaps_seen:
            self._swaps_seen = swaps
            # What was loaded stays for long: looked through with every collection, it would hold up requests.
            gc.collect()
            gc.freeze()

    def describe(self, served: Served, state: "OnlineState | None") -> dict[str, Any]:
        """What an answer rests on."""
        return {
            "model_digest": served.model_digest,
            "service_digest": served.service_digest,
            "feature_service": served.model.feature_service,
            "data_version": state.data_version if state else None,
            "features_at": state.filled_at if state else None,
            "code_version": self.code_version,
        }


def read_code_version() -> str:
    """The release, and the commit if it is known."""
    commit = read_provenance()["git_commit"]
    release = read_package_version("scorelake")
    return release if commit == "unknown" else f"{release}+{commit[:7]}"


def open_serving(lake: Lake, options: ServiceOptions) -> Serving:
    """Begin to serve a lake; its models are loaded by the first `follow`. Ended by closing the scorer."""
    champions = Champions(lake, list_specs())
    context = OnlineContext(lake, [read_spec(name).feature_service for name in list_specs()])
    scorer = Scorer(champions, context, options.threads)
    return Serving(lake, options, champions, context, scorer, Inbox(lake), read_code_version())
