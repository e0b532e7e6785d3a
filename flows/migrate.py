"""Moving house: a lake of one host becomes that of a team, compared row by row when it is there."""

from dataclasses import dataclass
from pathlib import Path

from feature_repo.errors import BadData
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.transfer import TableDigest, copy_lake
from flows.apply import apply
from flows.entry import begin
from flows.report import Grid, Report
from flows.stage import prepare_lake
from training.transfer import copy_models


@dataclass(frozen=True, slots=True)
class MigrateReceipt:
    """What was copied from where to where: the tables with their digests, and how many model versions."""

    origin: str
    target: str
    tables: tuple[TableDigest, ...]
    versions: int


def migrate(home: Path) -> MigrateReceipt:
    """Copy the lake at a home, with its models, into the lake of the settings, which is empty; the old one stays.

    Raises
    ------
    BadData
        If there is no lake at the home, or it is the one of the settings.
    Refused
        If the target holds rows or versions already.
    """
    entry, origin = begin("migrate"), Lake(home.expanduser().absolute())
    target = entry.lake
    if not origin.catalog.exists():
        raise BadData(f"no lake at {origin.home}; name the home of the one that moves")
    if origin.catalog == target.catalog:
        raise BadData(f"{origin.home} is the lake of the settings itself; set SCORELAKE_CATALOG to where it shall be")
    prepare_lake(target)
    versions = copy_models(origin, target)
    tables = copy_lake(origin, target)
    run = Run(
        run_id=entry.run_id,
        kind="migrate",
        started_at=entry.now,
        ended_at=entry.now,
        rows_out=sum(one.rows for one in tables),
        details={"origin": str(origin.home), "digests": {one.table: one.digest for one in tables}},
    )
    with write_lake(target, purpose="record a migration") as connection:
        run_transaction(connection, lambda inside: append_run(inside, run))
    apply()
    return MigrateReceipt(str(origin.home), target.catalog.describe(), tables, versions)


def build_report(receipt: MigrateReceipt) -> Report:
    """Build the report of a migration: the tables, and what is left to do."""
    rows = sum(one.rows for one in receipt.tables)
    grid = Grid(
        ("table", "rows", "digest on both sides"), tuple((one.table, one.rows, one.digest) for one in receipt.tables)
    )
    notes = (
        "next: scorelake materialize, which fills the new online store",
        f"the lake at {receipt.origin} is as it was; nothing reads it any more",
    )
    facts = {"from": receipt.origin, "to": receipt.target, "model versions": receipt.versions}
    return Report(f"{rows:,} rows of {len(receipt.tables)} tables copied and found the same", facts, (grid,), notes)
