"""What waits in the quarantine, for people."""

from dataclasses import dataclass

from feature_repo.sources.quarantine import QuarantinedRow, list_quarantine
from flows.report import Grid, Report
from flows.settings import read_settings


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Rows in the quarantine, newest first."""

    rows: tuple[QuarantinedRow, ...]


def read_quarantine(batch_id: str | None, limit: int) -> Quarantine:
    """Read what waits in the quarantine, of one batch or of all."""
    return Quarantine(tuple(list_quarantine(read_settings().lake, batch_id=batch_id, limit=limit)))


def build_report(quarantine: Quarantine) -> Report:
    """Build the report of the quarantine."""
    rows = tuple(
        (
            row.batch_id,
            row.file,
            row.position,
            ", ".join(row.reasons),
            row.payload and row.payload[:80],
            row.replayed_batch_id,
        )
        for row in quarantine.rows
    )
    grid = Grid(("batch", "file", "position", "reasons", "row", "replayed in"), rows)
    return Report(f"{len(rows):,} rows in the quarantine", grids=(grid,) if rows else ())
