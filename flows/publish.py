"""Publishing by hand what every run publishes by itself: the scores as one plain DuckDB file."""

from flows.report import Report
from flows.stage import begin_run, prepare_lake
from scoring.published import FileReceipt, publish_file


def publish() -> FileReceipt:
    """Publish the lake as it is now; raises `Unavailable` if there is none."""
    with begin_run("publish") as entry:
        if entry.lake.catalog.exists():
            prepare_lake(entry.lake)
        return publish_file(entry.lake, run_id=entry.run_id)


def build_report(receipt: FileReceipt) -> Report:
    """Build the report of a publication."""
    facts = {
        "file": receipt.file,
        "written": "whole" if receipt.is_whole else "as a copy of the one before, with what has changed",
        **{f"rows of {table}": rows for table, rows in receipt.rows.items() if rows},
        "seconds": receipt.seconds,
    }
    return Report(f"{sum(receipt.rows.values()):,} rows published", facts)
