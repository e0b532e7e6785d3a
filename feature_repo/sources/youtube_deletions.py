"""Comments that are gone, and those that are back: what a finished listing tells of those known before.

Walking the pages belongs to `youtube_listing`, the table's meaning to its declaration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from feature_repo.lake import Lake, read_lake

if TYPE_CHECKING:
    import duckdb

_APPEND: Final = (Path(__file__).parent / "youtube_deletions.sql").read_text(encoding="utf-8")
_COUNTS: Final = "select is_deleted, count(*) from raw.comment_deletions where run_id = ? group by 1"
_INSTANT: Final = pa.timestamp("us", "UTC")
_LISTINGS: Final = pa.schema(
    {"video_id": pa.string(), "began_at": _INSTANT, "observed_at": _INSTANT, "is_whole": pa.bool_()}
)


@dataclass(frozen=True, slots=True)
class FinishedListing:
    """A listing that came to its end: the comments that it had, and whether it had all that are shown."""

    video_id: str
    began_at: datetime
    observed_at: datetime
    seen_ids: frozenset[str]
    is_whole: bool


def append_deletions(connection: "duckdb.DuckDBPyConnection", listings: Sequence[FinishedListing], run_id: str) -> None:
    """Append what finished listings, at most one per video, tell to be gone or back; within the caller's transaction.

    A comment is gone if it was seen before a whole listing began and was not in it, and back if it was
    recorded as gone and is in any listing. What is known already is not told again.
    """
    if not listings:
        return
    rows = [{name: getattr(listing, name) for name in _LISTINGS.names} for listing in listings]
    seen = sorted({comment_id for listing in listings for comment_id in listing.seen_ids})
    connection.register("finished_listings", pa.Table.from_pylist(rows, _LISTINGS))
    connection.register("seen_comments", pa.table({"comment_id": pa.array(seen, pa.string())}))
    connection.execute(_APPEND, {"run_id": run_id})


def count_deletions(lake: Lake, run_id: str) -> tuple[int, int]:
    """Comments that a run found to be gone, and to be back."""
    with read_lake(lake) as connection:
        counts = dict(connection.execute(_COUNTS, [run_id]).fetchall())
    return counts.get(True, 0), counts.get(False, 0)
