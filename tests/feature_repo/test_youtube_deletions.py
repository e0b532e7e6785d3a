"""What finished listings tell of comments known before: a literal lake beside literal listings."""

from datetime import UTC, datetime
from typing import Any

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.sources.youtube_deletions import FinishedListing, append_deletions, count_deletions


def _at(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def _know(lake: Lake, *rows: tuple[str, str, str, int]) -> None:
    """Comments by id, video, source and the day on which they were seen first."""
    with write_lake(lake, purpose="test") as connection:
        for comment_id, video_id, source, day in rows:
            connection.execute(
                "insert into raw.comments by name select ? as comment_id, ? as video_id, ? as source, "
                "? as observed_at, 't' as text_id, 'text' as text, false as is_observed_at_imputed, 'b' as batch_id, "
                "1 as ingest_seq",
                [comment_id, video_id, source, _at(day)],
            )


def _list(lake: Lake, day: int, *listings: tuple[str, bool, set[str]]) -> list[tuple[Any, ...]]:
    """The rows that the listings of a day bring; each is a video, whether it was whole, and what it had."""
    finished = [
        FinishedListing(video_id, _at(day), _at(day), frozenset(seen), is_whole)
        for video_id, is_whole, seen in listings
    ]
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda connection: append_deletions(connection, finished, f"r{day}"))
    columns = "comment_id, video_id, is_deleted"
    with read_lake(lake) as connection:
        sql = f"select {columns} from raw.comment_deletions where observed_at = ? order by all"
        return connection.execute(sql, [_at(day)]).fetchall()


def test_a_whole_listing_tells_what_is_gone_of_its_own_video_and_source(lake: Lake) -> None:
    _know(lake, ("a", "v", "youtube", 1), ("b", "v", "youtube", 1), ("c", "w", "youtube", 1), ("d", "v", "a file", 1))
    _know(lake, ("e", "v", "youtube", 3))
    assert _list(lake, 3, ("v", True, {"a"})) == [("b", "v", True)]
    assert count_deletions(lake, "r3") == (1, 0)


def test_what_is_known_is_not_told_again_and_what_is_back_is(lake: Lake) -> None:
    _know(lake, ("a", "v", "youtube", 1), ("b", "w", "youtube", 1))
    assert _list(lake, 2, ("v", True, set()), ("w", True, set())) == [("a", "v", True), ("b", "w", True)]
    assert _list(lake, 3, ("v", True, set()), ("w", False, {"b"})) == [("b", "w", False)]
    assert _list(lake, 4, ("v", False, set()), ("w", False, set())) == []
    assert _list(lake, 5, ("w", True, set())) == [("b", "w", True)]
    assert count_deletions(lake, "r3") == (0, 1)
