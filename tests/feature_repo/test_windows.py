"""Channel windows as literal tables, see test_window_histories.py for the same counted a second way."""

import random
from datetime import datetime, timedelta

import duckdb

from feature_repo.features.materialize import materialize_features
from feature_repo.features.statements import build_statement
from feature_repo.lake import Lake
from tests.feature_repo.feature_rows import read_windows
from tests.feature_repo.raw_rows import START, add_batch

NOW = START + timedelta(days=100)
HOUR = timedelta(hours=1)


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
