"""A canary: a version that scores a share of the channels for production, before it may score all.

What of a model's comments it is given stands in the promotion ledger; which channels those are, in `promotions`.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.errors import BadData, Refused
from feature_repo.lake import read_lake, run_transaction, write_lake
from training.promote import check_verdict
from training.promotions import Promotion, append_promotion, read_assignment

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake
    from training.version import ModelVersion

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CanaryReceipt:
    """Which version scores which share of the channels, 0 to 1; a share of 0 is one that was withdrawn."""

    model: str
    champion: str
    canary: str
    share: float


def start_canary(
    lake: "Lake", found: "ModelVersion", share: float, *, run_id: str, now: datetime, overruling: str | None = None
) -> CanaryReceipt:
    """Give a version a share of the channels; given again, the share is widened or narrowed.

    A channel's place is decided by a hash: widening keeps those that the canary had. It ends when it is withdrawn or
    the champion changes.

    Parameters
    ----------
    overruling
        Why the gate is overruled, in the operator's words, for the ledger; None obeys it.

    Raises
    ------
    Refused
        If the gate refused the version, or never judged it, and is not overruled.
    BadData
        If the version is the champion, or there is none.
    """
    model = found.model
    with read_lake(lake) as connection:
        if overruling is None:
            check_verdict(connection, model, found.version)
        champion = read_assignment(connection, model).champion
    if champion is None or champion == found.version:
        raise BadData(f"a canary stands beside a champion; the champion of {model} is {champion or 'none'}")
    reason = f"A canary by hand{'.' if overruling is None else f', overruling the gate: {overruling}'}"
    return _record(lake, Promotion(now, model, found.version, "canary", champion, champion, (reason,), run_id, share))


def withdraw_canary(lake: "Lake", model: str, *, reason: str, run_id: str, now: datetime) -> CanaryReceipt:
    """End the canary: from now on the champion scores all channels. Raises `Refused` if there is none."""
    with read_lake(lake) as connection:
        assigned = read_assignment(connection, model)
    if assigned.canary is None:
        raise Refused(f"{model} has no canary; the champion is {assigned.champion or 'none'}")
    champion = assigned.champion
    return _record(
        lake, Promotion(now, model, assigned.canary, "withdrawn", champion, champion, (reason,), run_id, 0.0)
    )


def _record(lake: "Lake", promotion: Promotion) -> CanaryReceipt:
    def append(connection: "duckdb.DuckDBPyConnection") -> None:
        append_promotion(connection, promotion)

    with write_lake(lake, purpose=f"{promotion.action} of {promotion.model}") as connection:
        run_transaction(connection, append)
    _log.info("model=%s action=%s version=%s", promotion.model, promotion.action, promotion.version)
    champion = promotion.champion_after or ""
    return CanaryReceipt(promotion.model, champion, promotion.version, promotion.share or 0.0)
