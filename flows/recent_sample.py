"""A generated sample whose days are the last ones: for trying the commands, and for what is tested on every change."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from flows.report import Report
from flows.sample import Sample, write_sample


@dataclass(frozen=True, slots=True)
class SampleReceipt:
    """What was written: where, how many lines of comments there are, and how many of them are malformed on purpose."""

    folder: str
    files: int
    rows: int
    malformed: int


def write_recent(folder: Path, *, comments: int, seed: int, days: int, now: datetime | None = None) -> SampleReceipt:
    """Write a sample whose last day is the one before an instant, the clock's if not given."""
    today = datetime.combine((now or datetime.now(UTC)).date(), time(), UTC)
    sample = Sample(comments, seed, days, start_at=today - timedelta(days=days))
    written = write_sample(sample, folder)
    return SampleReceipt(str(folder.absolute()), 5 * len(written.days), written.rows, written.malformed)


def build_report(receipt: SampleReceipt) -> Report:
    """Build the report of a sample, and what to do with it."""
    facts = {
        "folder": receipt.folder,
        "files": receipt.files,
        "rows of comments": receipt.rows,
        "of them malformed": receipt.malformed,
    }
    notes = (
        f"Next: scorelake ingest comments {receipt.folder}/comments-*; so with channels, videos, labels-sentiment",
    )
    return Report("Sample written", facts, notes=notes)
