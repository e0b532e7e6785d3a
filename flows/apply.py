"""Bringing a lake to its declarations: tables, and the feature definitions in Feast's registry."""

from dataclasses import dataclass

from feature_repo.lake import write_lake
from feature_repo.retrieval import apply_definitions
from flows.report import Report
from flows.settings import read_settings
from flows.stage import prepare_lake


@dataclass(frozen=True, slots=True)
class ApplyReceipt:
    """What was brought up to date: tables that changed, and everything that is registered."""

    home: str
    tables: tuple[str, ...]
    registered: tuple[str, ...]


def apply() -> ApplyReceipt:
    """Migrate the tables, then register the definitions, each under the writer lock; safe to repeat."""
    lake = read_settings().lake
    tables = prepare_lake(lake, is_thorough=True)
    with write_lake(lake, purpose="apply the feature definitions"):
        registered = apply_definitions(lake)
    return ApplyReceipt(str(lake.home), tables, registered)


def build_report(receipt: ApplyReceipt) -> Report:
    """Build the report of an apply."""
    facts = {
        "lake": receipt.home,
        "tables made or extended": ", ".join(receipt.tables) or "none, all as declared",
        "registered with Feast": ", ".join(receipt.registered),
    }
    return Report("Applied", facts)
