"""Drawn histories: increments give what a rebuild gives, and the windows are what a plain count gives."""

import math
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.features.materialize import materialize_features, rebuild_features
from feature_repo.lake import Lake, run_transaction, write_lake
from tests.feature_repo.feature_rows import read_features, read_windows
from tests.feature_repo.raw_rows import START, Rows, add_batch

NAMES = ("comment_count", "author_count", "like_count", "reply_count", "capital_share", "url_share")
CAPITAL_SHARES = {"Hello": 0.2, "LOUD": 1.0, "see https://x.y": 0.0}
Row = dict[str, Any]

minutes = st.integers(0, 50 * 24 * 60)
delay = st.sampled_from([0, 0, 0, 30, 60, 3 * 24 * 60, 40 * 24 * 60])
comment = st.fixed_dictionaries(
    {
        "channel_id": st.sampled_from(["c1", "c2"]),
        "video_id": st.sampled_from([None, "v1", "v2"]),
        "author_id": st.sampled_from([None, "ann", "bob"]),
        "text": st.sampled_from(sorted(CAPITAL_SHARES)),
        "parent_id": st.sampled_from([None, "p"]),
        "published_minutes": minutes,
        "delay_minutes": delay,
        "likes": st.lists(
            st.tuples(st.sampled_from([0, 30, 90, 26 * 60]), st.integers(0, 9)),
            max_size=3,
            unique_by=lambda one: one[0],
        ),
    }
)
# Of a comment that came with this batch or before: another text, which may have been seen before the first that came.
text = st.tuples(st.integers(0, 20), st.sampled_from(sorted(CAPITAL_SHARES)), delay)
label = st.tuples(st.integers(0, 20), st.sampled_from(["negative", "positive"]), minutes)
video = st.tuples(st.sampled_from(["v1", "v2"]), st.sampled_from(["c1", "c2", "c3"]), minutes)
step = st.fixed_dictionaries(
    {
        "comments": st.lists(comment, max_size=5),
        "texts": st.lists(text, max_size=2),
        "labels": st.lists(label, max_size=2),
        "videos": st.lists(video, max_size=2, unique_by=lambda one: one[::2]),
        "hours": st.integers(0, 40 * 24),
    }
)


class History:
    """What has come so far, by table."""

    def __init__(self) -> None:
        self.comments: list[Row] = []
        self.counts: list[Row] = []
        self.videos: list[Row] = []

    def build_batch(self, drawn: Row, number: int) -> dict[str, list[Row]]:
        """The rows of a step; comments and texts that are known already do not come again."""
        comments, counts = [], []
        for index, row in enumerate(drawn["comments"]):
            published_at = START + timedelta(minutes=row["published_minutes"])
            observed_at = published_at + timedelta(minutes=row["delay_minutes"])
            told = {name: row[name] for name in ("channel_id", "video_id", "author_id", "text", "parent_id")}
            name = f"{number}-{index}"
            comments.append({"comment_id": name, "published_at": published_at, "observed_at": observed_at, **told})
            counts += [
                {"comment_id": name, "observed_at": observed_at + timedelta(minutes=minutes), "like_count": likes}
                for minutes, likes in row["likes"]
            ]
        for which, text, late in drawn["texts"]:
            if known := self.comments + comments:
                one = known[which % len(known)]
                texts = {row["text"] for row in known if row["comment_id"] == one["comment_id"]}
                if text not in texts:
                    seen_at = one["published_at"] + timedelta(minutes=late + 15)
                    comments.append(one | {"text": text, "observed_at": seen_at})
        labels = [
            {
                "comment_id": (self.comments + comments)[which % len(self.comments + comments)]["comment_id"],
                "task": "sentiment",
                "label": says,
                "labelled_at": START + timedelta(minutes=at),
            }
            for which, says, at in drawn["labels"]
            if self.comments + comments
        ]
        videos = [
            {"video_id": name, "channel_id": channel, "observed_at": START + timedelta(minutes=at)}
            for name, channel, at in drawn["videos"]
        ]
        self.comments, self.counts, self.videos = self.comments + comments, self.counts + counts, self.videos + videos
        return {"comments": comments, "counts": counts, "labels": labels, "videos": videos}

    def resolve(self) -> list[Row]:
        """The first text of each comment, in the channel of its video as that was first seen."""
        firsts: dict[str, Row] = {}
        for row in sorted(self.comments, key=lambda row: (row["observed_at"], f"t-{row['text']}")):
            firsts.setdefault(row["comment_id"], row)
        channels: dict[str, str] = {}
        for row in sorted(self.videos, key=lambda row: row["observed_at"]):
            channels.setdefault(row["video_id"], row["channel_id"])
        return [row | {"channel_id": channels.get(row["video_id"], row["channel_id"])} for row in firsts.values()]


def count_plainly(comments: Rows, counts: Rows, channel: str, hour: datetime) -> Row:
    """The windows at an hour, by looking at every comment and every count."""

    def read_likes(comment_id: str) -> int:
        known = [row for row in counts if row["comment_id"] == comment_id and row["observed_at"] <= hour]
        return max(known, key=lambda row: row["observed_at"])["like_count"] if known else 0

    found = {}
    for days in (1, 7, 30):
        rows = [
            row
            for row in comments
            if row["channel_id"] == channel
            and row["observed_at"] <= hour
            and hour - timedelta(days=days) < row["published_at"] <= hour
        ]
        count = len(rows)
        values = (
            count,
            len({row["author_id"] for row in rows} - {None}),
            sum(read_likes(row["comment_id"]) for row in rows),
            sum(row["parent_id"] is not None for row in rows),
            sum(CAPITAL_SHARES[row["text"]] for row in rows) / count if count else None,
            sum(row["text"].startswith("see") for row in rows) / count if count else None,
        )
        found |= {f"{name}_{days}d": value for name, value in zip(NAMES, values, strict=True)}
    return found


def check_row(found: Row, expected: Row) -> None:
    for name, value in expected.items():
        if value is None or found[name] is None:
            assert found[name] is value, name
        else:
            assert math.isclose(found[name], value, abs_tol=1e-6), name


def test_features_equal_a_plain_count_and_a_rebuild(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=3, deadline=None)
    @given(steps=st.lists(step, min_size=1, max_size=4))
    def check(steps: list[Row]) -> None:
        check_history(steps, lambda name: copy_lake(seed_home, tmp_path_factory.mktemp(name)))

    check()


def copy_lake(seed_home: Path, folder: Path) -> Lake:
    shutil.copytree(seed_home, folder / "home")
    return Lake(folder / "home")


def check_history(steps: list[Row], make: Callable[[str], Lake]) -> None:
    incremental, whole = make("incremental"), make("whole")
    history, now = History(), START
    for number, drawn in enumerate(steps):
        batch = history.build_batch(drawn, number)
        now += timedelta(hours=drawn["hours"])
        add_batch(incremental, **batch)
        materialize_features(incremental, run_id=f"m{number}", now=now)
        add_batch(whole, **batch)
    materialize_features(whole, run_id="whole", now=now)
    features = read_features(incremental)
    assert features == read_features(whole)
    comments = history.resolve()
    for (channel, hour), row in read_windows(incremental).items():
        check_row(row, count_plainly(comments, history.counts, channel, hour))
    channel_ids, comment_ids = ["c1", "c2", "c3"], [row["comment_id"] for row in comments]
    with write_lake(incremental, purpose="rebuild") as connection:
        run_transaction(
            connection, lambda inside: rebuild_features(inside, channel_ids=channel_ids, comment_ids=comment_ids)
        )
    assert read_features(incremental) == features
