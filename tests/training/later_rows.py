"""What happens to a lake after a version was trained: later and late rows, corrections, an upkeep, a move."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from feature_repo.contracts import list_expiring
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.upkeep import purge_deleted

# Half of the comments are late: they belong into the time that a version has learned from.
_COMMENTS = """
select
    'later-' || number as comment_id,
    video_id,
    'Comment ' || number || ' speaks of ' || ['love', 'boring', 'awful :(', 'GREAT 😍'][1 + number % 4] as text,
    'author ' || number % 997 as author_id,
    written_at as published_at,
    written_at as observed_at,
    number % 50 as like_count
from (
    select
        number,
        known.video_id,
        known.observed_at + to_hours((number % 2 * 600)::integer) + to_seconds((number % 3000)::integer) as written_at
    from range({rows}) as numbers (number)
    inner join (
        select video_id, observed_at, row_number() over (order by comment_id, text_id) - 1 as place
        from raw.comments
    ) as known on known.place = number % (select count(*) from raw.comments)
)
"""
_EDITS = """
select
    comment_id,
    any_value(video_id) as video_id,
    'Edited: ' || any_value(text) as text,
    max(observed_at) + interval 40 days as observed_at,
    7777 as like_count
from raw.comments
where comment_id in (select comment_id from raw.labels)
group by comment_id
"""
_COUNTS = """
select comment_id, video_id, text, observed_at + interval 1 minute as observed_at, 5555 as like_count
from raw.comments
"""
_VIDEOS = """
select
    video_id,
    'moved' as channel_id,
    min(observed_at) + interval 1 minute as observed_at,
    1 as view_count
from raw.videos
group by video_id
"""
# Every label is taken back: by one that was given before the version was trained, and came in after.
_LABELS = """
select
    comment_id,
    task,
    case task when 'spam' then 'spam' else 'neutral' end as label,
    labelled_at + interval 1 second as labelled_at
from raw.labels
union all
select 'later-' || number, 'sentiment', 'negative', timestamptz '2026-10-01 00:00:00+00'
from range({rows}) as numbers (number)
"""


def add_later_rows(lake: Lake, rows: int, now: datetime) -> None:
    """Ingest later comments and corrections of everything that was known, and compute their features."""
    statements = {"comments": _COMMENTS, "edits": _EDITS, "counts": _COUNTS, "videos": _VIDEOS, "labels": _LABELS}
    for name, statement in statements.items():
        path = lake.home / f"{name}.parquet"
        with read_lake(lake) as connection:
            connection.execute(f"copy ({statement.format(rows=rows)}) to '{path}' (format parquet)")
        kind = name if name in {"videos", "labels"} else "comments"
        request = IngestRequest(kind, (path,), read_mapping(), "later", f"later-{name}", now, b"a key for tests")
        assert not ingest_files(lake, request).is_refused
        path.unlink()
    materialize_features(lake, run_id="materialize-later", now=now + timedelta(days=60))


def count_rows(lake: Lake) -> dict[str, int]:
    """Rows of the tables that a training set is made of."""
    tables = ("raw.comments", "raw.comment_counts", "raw.videos", "raw.labels", "features.channel_features")
    with read_lake(lake) as connection:
        return {
            name.split(".")[1]: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in tables
        }


def keep_up(lake: Lake, now: datetime) -> int:
    """Merge and rewrite the lake's files and give up every snapshot but the present; returns how many went."""
    with write_lake(lake, purpose="test") as connection:
        connection.execute("call ducklake_merge_adjacent_files('lake')")
    return purge_deleted(lake, list_expiring(), before=now).snapshots_expired


def move(lake: Lake, home: Path) -> Lake:
    """Move a lake to another folder; nothing stays where it was."""
    shutil.move(lake.home, home)
    return Lake(home)
