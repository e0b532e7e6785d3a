"""Champions by an operator's hand, and the list of versions."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feature_repo.lake import Lake, read_lake
from flows.entry import begin
from flows.report import Grid, Report, show_age
from flows.settings import read_settings
from training.promote import PromotionReceipt, promote_version, roll_back
from training.promotions import read_standing
from training.registry import list_versions
from training.spec import list_specs, read_spec


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One version: what it was trained on, its figures on the rows held out then, and its standing.

    Parameters
    ----------
    standing
        champion or previous, as the ledger says; challenger for the newest that was not promoted.
    age_days
        Days since the labels it learned from were read.
    """

    model: str
    version: str
    standing: str
    data_version: int
    rows: int
    accuracy: float
    macro_f1: float
    age_days: float
    trained_as_of: str


@dataclass(frozen=True, slots=True)
class Models:
    """Every version of every model, the newest first."""

    versions: tuple[ListedVersion, ...]


def promote(model: str, version: str, *, overruling: str | None = None) -> PromotionReceipt:
    """Make a version champion; see `promote_version`."""
    entry = begin("promote", model)
    return promote_version(
        entry.lake, read_spec(model).name, version, run_id=entry.run_id, now=entry.now, overruling=overruling
    )


def rollback(model: str, reason: str) -> PromotionReceipt:
    """Make the previous champion champion again; see `roll_back`."""
    entry = begin("rollback", model)
    return roll_back(entry.lake, read_spec(model).name, reason=reason, run_id=entry.run_id, now=entry.now)


def read_models(now: datetime | None = None) -> Models:
    """Read every version of every model; their age is counted up to `now`, or the clock."""
    settings, at = read_settings(), now or datetime.now(UTC)
    return Models(tuple(one for model in list_specs() for one in _read_versions(settings.lake, model, at)))


def _read_versions(lake: Lake, model: str, now: datetime) -> list[ListedVersion]:
    with read_lake(lake) as connection:
        standing = read_standing(connection, model)
    names = {standing.champion: "champion", standing.previous: "previous"}
    return [
        ListedVersion(
            model=model,
            version=found.version,
            standing=names.get(found.version, "challenger" if "challenger" in found.aliases else ""),
            data_version=found.descriptor["data_version"],
            rows=found.descriptor["rows"],
            accuracy=found.descriptor["metrics"]["accuracy"],
            macro_f1=found.descriptor["metrics"]["macro_f1"],
            age_days=(now - datetime.fromisoformat(found.descriptor["as_of"])) / timedelta(days=1),
            trained_as_of=found.descriptor["as_of"],
        )
        for found in list_versions(lake, model)
    ]


def build_models_report(models: Models) -> Report:
    """Build the report of all versions."""
    header = (
        "model", "version", "standing", "data version", "labelled rows", "accuracy", "macro-F1", "age", "trained as of",
    )  # fmt: skip
    rows = tuple(
        (
            one.model, one.version, one.standing, one.data_version, one.rows, one.accuracy, one.macro_f1,
            show_age(timedelta(days=one.age_days)), one.trained_as_of[:16],
        )
        for one in models.versions
    )  # fmt: skip
    return Report(f"{len(rows)} versions", grids=(Grid(header, rows),) if rows else ())


def build_report(receipt: PromotionReceipt) -> Report:
    """Build the report of a change of champion."""
    if receipt.champion_before == receipt.champion_after:
        return Report(f"{receipt.model} version {receipt.champion_after} is champion already")
    return Report(f"{receipt.model}: champion {receipt.champion_before or 'none'} → {receipt.champion_after}")
