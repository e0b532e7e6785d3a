"""Past label shares: what was labelled by an instant, and never a text's own label."""

from datetime import timedelta
from typing import Any

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake
from tests.feature_repo.raw_rows import START, add_batch

NOW = START + timedelta(days=100)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


def materialize(lake: Lake, run_id: str = "m") -> int:
    return materialize_features(lake, run_id=run_id, now=NOW).rows.get("features.channel_labels", 0)


def read_labels(lake: Lake, channel: str = "c1") -> dict[float, tuple[Any, ...]]:
    """Hours since the start → sentiment labels, negative and positive shares, as the newest rows have them."""
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select event_timestamp, sentiment_label_count, negative_label_share, positive_label_share "
            "from features.channel_labels where channel_id = ? "
            "qualify row_number() over (partition by event_timestamp order by ingest_seq desc) = 1 "
            "order by event_timestamp",
            [channel],
        ).fetchall()
    return {(row[0] - MICROSECOND - START) / HOUR: row[1:] for row in rows}


def label(comment_id: str, hours: float, says: str, task: str = "sentiment") -> dict[str, Any]:
    return {"comment_id": comment_id, "task": task, "label": says, "labelled_at": START + hours * HOUR}


def test_labels_count_from_just_after_they_were_given(lake: Lake) -> None:
    add_batch(
        lake,
        comments=[{"comment_id": name} for name in "abc"],
        labels=[label("a", 1, "negative"), label("b", 2, "positive"), label("c", 3, "spam", "spam")],
    )
    materialize(lake)
    assert read_labels(lake) == {1: (1, 1.0, 0.0), 2: (2, 0.5, 0.5), 3: (2, 0.5, 0.5)}


def test_a_label_given_before_its_comment_was_seen_counts_from_just_after_that(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}], labels=[label("a", -5, "negative")])
    materialize(lake)
    assert read_labels(lake) == {0: (1, 1.0, 0.0)}


def test_a_later_label_replaces_the_one_before(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}], labels=[label("a", 1, "negative"), label("a", 2, "positive")])
    materialize(lake)
    assert read_labels(lake) == {1: (1, 1.0, 0.0), 2: (1, 0.0, 1.0)}


def test_an_edit_never_meets_the_label_of_the_text_before(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}], labels=[label("a", 1, "negative")])
    materialize(lake)
    edited_at = START + 2 * HOUR
    add_batch(lake, comments=[{"comment_id": "a", "text": "edited", "observed_at": edited_at}])
    assert materialize(lake, "again") == 1
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select sentiment_label_count, negative_label_share from features.channel_labels where event_timestamp = ?",
            [edited_at],
        ).fetchall()
    assert rows == [(0, None)]


def test_a_late_label_changes_what_comes_after_it(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": name} for name in "ab"], labels=[label("a", 5, "negative")])
    materialize(lake)
    add_batch(lake, labels=[label("b", 1, "positive")])
    assert materialize(lake, "again") == 2
    assert read_labels(lake) == {1: (1, 0.0, 1.0), 5: (2, 0.5, 0.5)}


def test_a_video_that_becomes_known_takes_the_labels_along(lake: Lake) -> None:
    add_batch(
        lake,
        comments=[{"comment_id": "a", "channel_id": "told", "video_id": "v"}],
        labels=[label("a", 1, "negative")],
    )
    materialize(lake)
    add_batch(lake, videos=[{"video_id": "v", "channel_id": "true", "observed_at": START}])
    materialize(lake, "again")
    assert read_labels(lake, "told") == {1: (0, None, None)}
    assert read_labels(lake, "true") == {1: (1, 1.0, 0.0)}


def test_an_earlier_text_that_arrives_late_takes_the_label_from_the_one_that_was_first(lake: Lake) -> None:
    add_batch(
        lake,
        comments=[{"comment_id": "a", "text": "edited", "observed_at": START + 10 * HOUR}],
        labels=[label("a", 5, "negative")],
    )
    materialize(lake)
    assert read_labels(lake) == {10: (1, 1.0, 0.0)}
    add_batch(lake, comments=[{"comment_id": "a", "observed_at": START + 2 * HOUR}])
    materialize(lake, "again")
    found = read_labels(lake)
    assert (found[5], found[10]) == ((1, 1.0, 0.0), (0, None, None))


def test_statistics_are_those_observed_and_imputed_times_bring_none(lake: Lake) -> None:
    add_batch(
        lake,
        channels=[
            {"channel_id": "c1", "observed_at": START, "subscriber_count": 10},
            {"channel_id": "c2", "observed_at": START, "subscriber_count": 10, "is_observed_at_imputed": True},
        ],
        videos=[{"video_id": "v", "channel_id": "c1", "observed_at": START, "view_count": 5, "like_count": None}],
    )
    materialize(lake)
    with read_lake(lake) as connection:
        channels = connection.execute("select channel_id, channel_subscriber_count from features.channel_statistics")
        assert channels.fetchall() == [("c1", 10)]
        videos = connection.execute(
            "select * exclude (event_timestamp, created_timestamp) from features.video_statistics"
        )
        assert videos.fetchall() == [("v", 5, None, None, 1)]
