"""Promotion and rollback by an operator's hand; the gate's own promotions happen in `train`.

What makes a promotion safe against kills is told in `promotions`.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.errors import Refused
from feature_repo.lake import read_lake, run_transaction, write_lake
from training.promotions import BY_HAND, Promotion, append_promotion, read_last_verdict, read_standing
from training.registry import mirror_aliases, resolve
from training.resolved import resolve_again

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PromotionReceipt:
    """Who was champion before, and who is now; the same if there was nothing to do."""

    model: str
    champion_before: str | None
    champion_after: str


def promote_version(
    lake: "Lake", model: str, version: str, *, run_id: str, now: datetime, overruling: str | None = None
) -> PromotionReceipt:
    """Make a registered version champion by hand; promoting the champion changes nothing.

    Parameters
    ----------
    overruling
        Why the gate is overruled, in the operator's words, for the ledger; None obeys it.

    Raises
    ------
    Refused
        If the gate refused the version or never judged it, and is not overruled.
    BadData
        If there is no such version, or its file was altered.
    """
    found = resolve(lake, model, version)
    with read_lake(lake) as connection:
        before = read_standing(connection, model).champion
        if overruling is None and before != found.version:
            check_verdict(connection, model, found.version)
    if before == found.version:
        return PromotionReceipt(model, before, before)
    reason = f"{BY_HAND}{'.' if overruling is None else f', overruling the gate: {overruling}'}"
    promotion = Promotion(now, model, found.version, "promoted", before, found.version, (reason,), run_id)
    return _record(lake, promotion)


def roll_back(lake: "Lake", model: str, *, reason: str, run_id: str, now: datetime) -> PromotionReceipt:
    """Make the previous champion champion again, and the champion previous; twice leads back.

    Raises
    ------
    Refused
        If there is no previous champion.
    BadData
        If its file was altered or is gone.
    """
    with read_lake(lake) as connection:
        standing = read_standing(connection, model)
    if standing.previous is None:
        raise Refused(f"{model} has no champion before {standing.champion or 'a first one'}; nothing to roll back to")
    found = resolve(lake, model, standing.previous)
    promotion = Promotion(now, model, found.version, "rolled_back", standing.champion, found.version, (reason,), run_id)
    return _record(lake, promotion)


def _record(lake: "Lake", promotion: Promotion) -> PromotionReceipt:
    def append(connection: "duckdb.DuckDBPyConnection") -> None:
        append_promotion(connection, promotion)

    with write_lake(lake, purpose=f"change the champion of {promotion.model}") as connection:
        run_transaction(connection, append)
    mirror_aliases(lake, promotion.model)
    resolve_again(lake, promotion.model, promotion.version)  # kept: scoring need not wait for MLflow
    _logger.info("model=%s action=%s champion=%s", promotion.model, promotion.action, promotion.champion_after)
    return PromotionReceipt(promotion.model, promotion.champion_before, promotion.version)


def check_verdict(connection: "duckdb.DuckDBPyConnection", model: str, version: str) -> None:
    """Check that the gate has let a version pass; raises `Refused` with its reasons."""
    action, reasons = read_last_verdict(connection, model, version) or ("refused", ("It was never judged.",))
    if action == "refused":
        raise Refused(
            f"the gate does not let {model} version {version} pass: {' '.join(reasons[:5])} "
            "To promote it all the same, overrule the gate and say why."
        )
