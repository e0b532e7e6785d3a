"""The feature tables as they are now, to be compared with those of another lake."""

from datetime import datetime
from typing import Any

from feature_repo.lake import Lake, read_lake
from feature_repo.tables.features import TABLES


def read_features(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """The newest version of every feature row, by table."""
    with read_lake(lake) as connection:
        return {
            str(table.name): connection.execute(
                f"select * from {table.name} qualify row_number() over "
                f"(partition by {', '.join(table.unique[:-2])}, event_timestamp order by ingest_seq desc) = 1 "
                "order by all"
            ).fetchall()
            for table in TABLES
        }


def read_windows(lake: Lake) -> dict[tuple[str, datetime], dict[str, Any]]:
    """The newest version of each channel's row, by channel and hour."""
    with read_lake(lake) as connection:
        found = connection.execute(
            "select * from features.channel_features "
            "qualify row_number() over (partition by channel_id, event_timestamp order by ingest_seq desc) = 1"
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["channel_id"], row["event_timestamp"]): row for row in rows}
