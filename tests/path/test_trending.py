"""Statistics as a real point-in-time series: 40 daily snapshots of videos; switched on by SCORELAKE_TEST_DATA."""

import csv
import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake
from feature_repo.retrieval import apply_definitions, compile_features
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping

DATA = Path(os.environ.get("SCORELAKE_TEST_DATA", "/nowhere"))
NOW = datetime(2018, 1, 1, tzinfo=UTC)
NAMES = ("video_view_count", "video_like_count", "video_comment_count")

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not DATA.is_dir(), reason="SCORELAKE_TEST_DATA names no folder of real comments"),
]

Snapshots = dict[str, dict[datetime, tuple[int, ...]]]


def read_snapshots(path: Path) -> Snapshots:
    """Views, likes and comments by video and day; of several rows of a video and day, the first."""
    found: Snapshots = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            day, month = row["date"].split(".")
            at = datetime(2017, int(month), int(day), 23, 59, 59, tzinfo=UTC)  # as the preset reads it
            counts = tuple(int(row[name]) for name in ("views", "likes", "comment_total"))
            found[row["video_id"]].setdefault(at, counts)
    return found


def look_up_plainly(snapshots: Snapshots, video: str, at: datetime) -> dict[str, Any]:
    known = [day for day in snapshots[video] if day <= at]
    if not known:
        return dict.fromkeys((*NAMES, "video_statistics_age_hours"))
    newest = max(known)
    counts = dict(zip(NAMES, snapshots[video][newest], strict=True))
    return counts | {"video_statistics_age_hours": (at - newest) / timedelta(hours=1)}


def test_every_video_has_its_last_known_statistics_at_any_instant(lake: Lake) -> None:
    file = DATA / "youtube_trending" / "USvideos.csv"
    apply_definitions(lake)
    mapping = read_mapping("youtube-trending")
    receipt = ingest_files(lake, IngestRequest("videos", (file,), mapping, "trending", "videos", NOW, b"key"))
    snapshots = read_snapshots(file)
    assert receipt.rows_read == 7_992
    assert receipt.rows_accepted == sum(len(days) for days in snapshots.values())
    materialize_features(lake, run_id="m", now=NOW)
    draw = Random(7)  # noqa: S311 - no secret
    start = datetime(2017, 9, 10, tzinfo=UTC)
    asked = [
        (video, start + timedelta(minutes=draw.randrange(45 * 24 * 60)))
        for video in sorted(snapshots)
        for _ in range(2)
    ]
    values = ", ".join(f"('{video}', timestamptz '{at.isoformat()}')" for video, at in asked)
    spine = (
        "select 'c' as comment_id, 't' as text_id, null::varchar as channel_id, video_id, event_timestamp "
        f"from (values {values}) as asked (video_id, event_timestamp)"
    )
    sql = compile_features(lake, "sentiment_v1", spine, data_version=1)
    with read_lake(lake) as connection:
        columns = ", ".join((*NAMES, "video_statistics_age_hours"))
        found = connection.execute(f"select {columns} from ({sql})").fetchall()
    expected = [look_up_plainly(snapshots, video, at) for video, at in asked]
    wanted = [tuple(row[name] for name in (*NAMES, "video_statistics_age_hours")) for row in expected]
    assert sum(row[0] is not None for row in wanted) > len(wanted) // 4
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in wanted])
