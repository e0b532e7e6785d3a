"""Channel windows: literal tables, and the same numbers computed a second, plain way."""

import math
import random
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.features.materialize import materialize_features, rebuild_features
from feature_repo.features.statements import build_statement
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from tests.feature_repo.feature_rows import read_features
from tests.feature_repo.raw_rows import START, Rows, add_batch

NOW = START + timedelta(days=100)
HOUR = timedelta(hours=1)
NAMES = ("comment_count", "author_count", "like_count", "reply_count", "capital_share", "url_share")
CAPITAL_SHARES = {"Hello": 0.2, "LOUD": 1.0, "see https://x.y": 0.0}
Row = dict[str, Any]
Windows = dict[tuple[str, datetime], Row]


def read_windows(lake: Lake) -> Windows:
    """The newest version of each row."""
    with read_lake(lake) as connection:
        found = connection.execute(
            "select * from features.channel_features "
            "qualify row_number() over (partition by channel_id, event_timestamp order by ingest_seq desc) = 1"
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["channel_id"], row["event_timestamp"]): row for row in rows}


def materialize(lake: Lake, now: datetime = NOW, run_id: str | None = None) -> dict[str, int]:
    return materialize_features(lake, run_id=run_id or f"m-{now:%Y%m%d%H%M}", now=now).rows


def read_counts(lake: Lake, name: str = "comment_count", channel: str = "c1") -> dict[timedelta, tuple[int, ...]]:
    return {
        at - START: tuple(row[f"{name}_{days}d"] for days in (1, 7, 30))
        for (found, at), row in sorted(read_windows(lake).items())
        if found == channel
    }


def test_a_comment_enters_at_the_next_full_hour_and_leaves_three_windows(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a", "published_at": START - timedelta(minutes=55)}])
    materialize(lake)
    assert read_counts(lake) == {
        timedelta(0): (1, 1, 1),
        timedelta(days=1): (0, 1, 1),
        timedelta(days=7): (0, 0, 1),
        timedelta(days=30): (0, 0, 0),
    }


def test_a_late_comment_is_counted_from_when_it_was_known(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a", "observed_at": START + timedelta(days=3)}])
    materialize(lake)
    assert next(iter(read_counts(lake).items())) == (timedelta(days=3), (0, 1, 1))


def test_an_author_counts_once_for_as_long_as_a_comment_of_theirs_is_in_the_window(lake: Lake) -> None:
    posted = [("a", "ann", 0), ("b", "ann", 5), ("c", "bob", 5), ("d", None, 6)]
    comments = [
        {"comment_id": comment, "author_id": author, "published_at": START + hours * HOUR}
        for comment, author, hours in posted
    ]
    add_batch(lake, comments=comments)
    materialize(lake, START + timedelta(days=2))
    assert {at / HOUR: counts[0] for at, counts in read_counts(lake, "author_count").items()} == {
        0: 1,
        5: 2,
        6: 2,
        24: 2,  # ann's second comment is still in
        29: 0,
        30: 0,
    }


def test_likes_are_those_last_known(lake: Lake) -> None:
    counts = [(1, 3), (2, 10), (2.5, 8), (40, 100)]
    add_batch(
        lake,
        comments=[{"comment_id": "a"}],
        counts=[
            {"comment_id": "a", "observed_at": START + hours * HOUR, "like_count": likes} for hours, likes in counts
        ],
    )
    materialize(lake, START + timedelta(days=2))
    assert {at / HOUR: row[:2] for at, row in read_counts(lake, "like_count").items()} == {
        0: (0, 0),
        1: (3, 3),
        2: (10, 10),
        3: (8, 8),
        24: (0, 8),
        40: (0, 100),
    }


def test_hours_to_come_are_written_when_they_have_come(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])
    for hours in (0, 23, 24, 25, 24 * 31):
        materialize(lake, START + hours * HOUR)
        assert max(read_counts(lake)) <= hours * HOUR
    assert list(read_counts(lake).values()) == [(1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)]


def test_a_second_materialization_at_the_same_hour_has_nothing_to_do(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])
    assert materialize(lake)["features.channel_features"] == 4
    assert materialize(lake, NOW + timedelta(minutes=59)) == {}
    assert materialize(lake, NOW + HOUR, "an hour later")["features.channel_features"] == 0


def test_a_late_comment_recomputes_the_windows_it_touches_and_no_others(lake: Lake) -> None:
    days = (0, 10, 50)
    add_batch(lake, comments=[{"comment_id": f"{day}", "published_at": START + timedelta(days=day)} for day in days])
    materialize(lake)
    before = read_windows(lake)
    add_batch(lake, comments=[{"comment_id": "late", "published_at": START + timedelta(days=9)}])
    assert materialize(lake, NOW, "again")["features.channel_features"] == 7
    after = read_windows(lake)
    changed = sorted((at - START).days for key, row in after.items() for _, at in [key] if before.get(key) != row)
    # It enters (9) and leaves (10, 16, 39); the other rows are the first comment's and the second's in those 30 days.
    assert changed == [9, 10, 11, 16, 17, 30, 39]


def test_a_video_that_becomes_known_moves_its_comments_to_its_channel(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a", "channel_id": "told", "video_id": "v"}])
    materialize(lake)
    add_batch(lake, videos=[{"video_id": "v", "channel_id": "true", "observed_at": START}])
    materialize(lake, NOW, "again")
    assert set(read_counts(lake, channel="told").values()) == {(0, 0, 0)}
    assert list(read_counts(lake, channel="true").values()) == [(1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)]


def test_a_comment_without_an_author_at_first_says_nothing_of_whose_it_became(lake: Lake) -> None:
    """It is the author's newest by then, and yet the one before tells that the author was there."""
    add_batch(
        lake,
        comments=[
            {"comment_id": "known", "author_id": "ann"},
            {"comment_id": "edited", "published_at": START + timedelta(days=10)},
            {
                "comment_id": "edited",
                "text": "LOUD",
                "author_id": "ann",
                "published_at": START + timedelta(days=10),
                "observed_at": START + timedelta(days=11),
            },
        ],
    )
    materialize(lake, START + timedelta(days=20) - HOUR)
    add_batch(lake, comments=[{"comment_id": "new", "author_id": "ann", "published_at": START + timedelta(days=20)}])
    materialize(lake, START + timedelta(days=20))
    assert read_counts(lake, "author_count")[timedelta(days=20)] == (1, 1, 1)


def test_when_the_newest_batch_has_left_the_newest_of_the_others_counts(lake: Lake) -> None:
    for published, observed in ((24.5, 24.5), (20, 25), (0.5, 29)):
        add_batch(
            lake,
            comments=[
                {
                    "comment_id": f"{published}",
                    "published_at": START + timedelta(days=published),
                    "observed_at": START + timedelta(days=observed),
                }
            ],
        )
    # The third, which was late, leaves at 30.5; at 31.5 the first leaves seven days, and the second is still in thirty.
    for days in (31, 31.5):
        materialize(lake, START + timedelta(days=days))
    newest = {at: row["ingest_seq"] for (_, at), row in read_windows(lake).items()}
    assert [newest[START + timedelta(days=days)] for days in (25.5, 29, 30.5, 31.5)] == [2, 3, 3, 2]


def test_stretches_that_begin_together_are_one() -> None:
    """In many orders, because a wrong choice among equals is made now and then."""
    first = [(7, 727), (7, 727), (8, 727), (18, 738), (33, 727), (140, 859), (264, 984), (264, 984)]
    rows = [("c2", *span) for span in [*first, *[(1094, 1547)] * 2, *[(1120, 1547)] * 2, (1201, 1547)]]
    rows += [("c1", *span) for span in [*[(3, 723)] * 2, (7, 727), (8, 727), (33, 727), *[(75, 723)] * 3]]
    rows += [("c1", *span) for span in [(1094, 1547), (1120, 1547), (1201, 1547)]]
    expected = [("c1", 3, 727), ("c1", 1094, 1547), ("c2", 7, 984), ("c2", 1094, 1547)]
    query, chance = build_statement("changed_ranges", {}), random.Random(7)  # noqa: S311 - a seeded trial
    with duckdb.connect() as connection:
        for _ in range(20):
            chance.shuffle(rows)
            connection.execute(
                "create or replace table changed_hours as select channel_id, to_timestamp(begins * 3600) as from_at, "
                f"to_timestamp(ends * 3600) as to_at from (values {', '.join(map(str, rows))}) as hours "
                "(channel_id, begins, ends)"
            )
            found = connection.execute(
                f"select channel_id, epoch(from_at) // 3600, epoch(to_at) // 3600 from ({query}) order by all"
            )
            assert found.fetchall() == expected


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
    @settings(max_examples=5, deadline=None)
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
        now += drawn["hours"] * HOUR
        add_batch(incremental, **batch)
        materialize(incremental, now, f"m{number}")
        add_batch(whole, **batch)
    materialize(whole, now, "whole")
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
