"""The feature tables as they are now, to be compared with those of another lake."""

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
