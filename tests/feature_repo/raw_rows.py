"""Builders of raw rows: batches as an ingest would leave them, with keyword overrides."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_data_version

START = datetime(2026, 3, 1, tzinfo=UTC)
Rows = Sequence[dict[str, Any]]


def add_batch(
    lake: Lake, *, comments: Rows = (), counts: Rows = (), videos: Rows = (), channels: Rows = (), labels: Rows = ()
) -> int:
    """Append a batch; returns its number."""

    def work(connection: duckdb.DuckDBPyConnection) -> int:
        number = read_data_version(connection) + 1
        batch = {"source": "test", "batch_id": f"b{number}", "ingest_seq": number}
        tables = {
            "comments": [build_comment(**row) for row in comments],
            "comment_counts": [{"is_observed_at_imputed": False, **row} for row in counts],
            "videos": [{"is_observed_at_imputed": False, **row} for row in videos],
            "channels": [{"is_observed_at_imputed": False, **row} for row in channels],
            "labels": list(labels),
        }
        for table, rows in tables.items():
            for row in rows:
                insert(connection, f"raw.{table}", row | batch)
        append_run(connection, Run(f"b{number}", "ingest", START, START, data_version=number))
        return number

    with write_lake(lake, purpose="test") as connection:
        return run_transaction(connection, work)


def build_comment(**overrides: Any) -> dict[str, Any]:
    row = {"text": "Hello", "channel_id": "c1", "published_at": START, "is_observed_at_imputed": False} | overrides
    return {"text_id": f"t-{row['text']}", "observed_at": row["published_at"]} | row


def insert(connection: duckdb.DuckDBPyConnection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", list(row.values()))
