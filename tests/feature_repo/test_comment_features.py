"""Features of comments: counts at first sight, the place in a thread, and what late rows change."""

from datetime import timedelta
from typing import Any

import pytest

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake
from tests.feature_repo.raw_rows import START, add_batch

NOW = START + timedelta(days=100)
MINUTE = timedelta(minutes=1)


def materialize(lake: Lake, run_id: str = "m") -> int:
    return materialize_features(lake, run_id=run_id, now=NOW).rows.get("features.comment_features", 0)


def read_column(lake: Lake, column: str) -> dict[str, Any]:
    """The newest value of each text, by comment and text."""
    with read_lake(lake) as connection:
        return dict(
            connection.execute(
                f"select comment_id || ' ' || text_id, {column} from features.comment_features "
                "qualify row_number() over (partition by comment_id, text_id order by ingest_seq desc) = 1"
            ).fetchall()
        )


def reply(comment_id: str, minutes: float, **overrides: Any) -> dict[str, Any]:
    told = {"comment_id": comment_id, "parent_id": "top", "published_at": START + minutes * MINUTE, "text": "x"}
    return told | overrides


def test_the_place_in_a_thread_counts_earlier_replies_known_by_then(lake: Lake) -> None:
    add_batch(
        lake,
        comments=[
            reply("top", -5, parent_id=None),
            reply("old", -60 * 24 * 31),
            reply("first", 1),
            reply("unseen", 2, observed_at=START + 90 * MINUTE),
            reply("second", 3),
            reply("elsewhere", 4, parent_id="other"),
            reply("third", 100),
            reply("undated", 0, published_at=None, observed_at=START + 200 * MINUTE),
        ],
    )
    materialize(lake)
    assert read_column(lake, "earlier_reply_count_30d") == {
        "top t-x": 0,
        "old t-x": 0,
        "first t-x": 0,
        "unseen t-x": 2,  # when it was seen, the first and the second were there, but only one was written before
        "second t-x": 1,
        "elsewhere t-x": 0,
        "third t-x": 3,
        "undated t-x": None,
    } | {"unseen t-x": 1}


def test_a_late_reply_moves_those_behind_it_and_no_others(lake: Lake) -> None:
    add_batch(lake, comments=[reply("first", 1), reply("third", 30), reply("stranger", 30, parent_id="other")])
    materialize(lake)
    add_batch(lake, comments=[reply("second", 20)])
    assert materialize(lake, "again") == 2
    assert read_column(lake, "earlier_reply_count_30d") == {
        "first t-x": 0,
        "second t-x": 1,
        "third t-x": 2,
        "stranger t-x": 0,
    }


def test_a_reply_that_was_seen_later_moves_nobody(lake: Lake) -> None:
    add_batch(lake, comments=[reply("third", 30)])
    materialize(lake)
    add_batch(lake, comments=[reply("second", 20, observed_at=START + 31 * MINUTE)])
    assert materialize(lake, "again") == 1
    assert read_column(lake, "earlier_reply_count_30d")["third t-x"] == 0


@pytest.mark.parametrize(
    ("minutes", "told", "likes"), [(0, "told", 7), (-10, "told", 7), (1, "told", None), (0, "imputed", None)]
)
def test_likes_count_if_they_were_known_when_the_text_was_first_seen(
    lake: Lake, minutes: int, told: str, likes: int | None
) -> None:
    add_batch(lake, comments=[reply("a", -10, observed_at=START)])
    materialize(lake)
    count = {
        "comment_id": "a",
        "observed_at": START + minutes * MINUTE,
        "like_count": 7,
        "is_observed_at_imputed": told == "imputed",
    }
    add_batch(lake, counts=[count])
    materialize(lake, "again")
    assert read_column(lake, "first_like_count") == {"a t-x": likes}


def test_an_edit_gets_features_of_its_own(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a", "text": "one"}])
    add_batch(lake, comments=[{"comment_id": "a", "text": "one two", "observed_at": START + MINUTE}])
    assert materialize(lake) == 2
    assert read_column(lake, "word_count") == {"a t-one": 1, "a t-one two": 2}
    assert read_column(lake, "ingest_seq") == {"a t-one": 1, "a t-one two": 2}
