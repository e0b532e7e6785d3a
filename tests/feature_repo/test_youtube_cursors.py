"""Where listings stop, and how they go on: budgets, expired tokens, and whose turn it is."""

from datetime import timedelta
from typing import Any

import pytest

from feature_repo.lake import Lake
from feature_repo.sources import youtube_cursors
from feature_repo.sources.youtube_cursors import Cursor, begin_listing, find_due, is_due
from feature_repo.sources.youtube_ingest import QuotaStop
from tests.feature_repo.youtube_runner import CURSORS, DAY, DELETIONS, KNOWN, make_threads, names, watch
from tests.feature_repo.youtube_server import Comment, Video

WEEK = timedelta(days=7)
OPEN: dict[str, Any] = {"state": "open", "page_token": "t"}


def _cursor(video_id: str = "v", days_ago: float = 1, **told: Any) -> Cursor:
    """A listing that went to the end."""
    at = DAY - timedelta(days=days_ago)
    done = {"state": "done", "is_full": True, "comment_count": 3, "caught_up_at": at, "completed_at": at}
    return Cursor(**{"video_id": video_id, "began_at": at} | done | told)


def _video(video_id: str = "v", comment_count: int | None = 3) -> youtube_cursors.Video:
    return youtube_cursors.Video(video_id, "UC", comment_count)


@pytest.mark.parametrize(
    ("cursor", "comment_count", "due"),
    [
        (None, 0, False),
        (None, 1, True),
        (None, None, True),  # to note that comments are disabled
        (_cursor(), 3, False),
        (_cursor(), 4, True),
        (_cursor(), 2, True),
        (_cursor(), None, True),
        (_cursor(days_ago=6.99), 3, False),
        (_cursor(days_ago=7), 3, True),
        (_cursor(completed_at=DAY - WEEK), 3, True),  # kept up with since, but not listed to the end
        (_cursor(**OPEN), 3, True),
        (_cursor(state="disabled", comment_count=None, completed_at=None), None, False),
        (_cursor(state="disabled", comment_count=None, completed_at=None), 1, True),
        (_cursor(state="forbidden", completed_at=None, days_ago=7), 3, True),
        (_cursor(state="unreadable"), 3, True),
    ],
)
def test_a_video_is_due_when_something_may_have_changed(
    cursor: Cursor | None,
    comment_count: int | None,
    due: bool,  # noqa: FBT001 - a table of cases
) -> None:
    assert is_due(_video(comment_count=comment_count), cursor, now=DAY, refresh=WEEK) == due


@pytest.mark.parametrize(
    ("cursor", "is_full", "known_before"),
    [
        (None, True, None),
        (_cursor(), False, DAY - timedelta(hours=25)),
        (_cursor(days_ago=7), True, None),
        (_cursor(caught_up_at=DAY - timedelta(hours=1), completed_at=DAY - WEEK), True, None),
        (_cursor(state="disabled", caught_up_at=None, completed_at=None), True, None),
    ],
)
def test_a_listing_goes_to_the_end_or_to_an_hour_before_what_is_known(
    cursor: Cursor | None,
    is_full: bool,  # noqa: FBT001 - a table of cases
    known_before: object,
) -> None:
    listing = begin_listing(_video(comment_count=9), cursor, now=DAY, refresh=WEEK)
    assert (listing.state, listing.began_at, listing.comment_count, listing.page_token) == ("open", DAY, 9, None)
    assert (listing.is_full, listing.known_before) == (is_full, known_before)


def test_an_open_listing_goes_on_as_it_began() -> None:
    cursor = _cursor(**OPEN, completed_at=None)
    assert begin_listing(_video(comment_count=9), cursor, now=DAY, refresh=WEEK) is cursor


def test_what_is_new_comes_first_and_the_longest_unseen_of_each_sort() -> None:
    cursors = {
        "refresh": _cursor(days_ago=8),
        "refresh sooner": _cursor(days_ago=9),
        "new": _cursor(days_ago=1, comment_count=1),
        "new, unseen longer": _cursor(days_ago=2, comment_count=1),
        "interrupted": _cursor(**OPEN),
        "interrupted, newest only": _cursor(days_ago=3, is_full=False, **OPEN),
        "nothing new": _cursor(),
    }
    due = find_due([_video(name) for name in ("never listed", *cursors)], cursors, now=DAY, refresh=WEEK)
    assert [video.video_id for video, _ in due] == [
        "interrupted, newest only",
        "new, unseen longer",
        "new",
        "interrupted",
        "never listed",
        "refresh sooner",
        "refresh",
    ]


def test_at_the_end_of_the_budget_it_stops_and_goes_on_the_next_day(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(9))
    with watch(lake, video) as runner:
        runner.youtube.page_size = 2
        with pytest.raises(
            QuotaStop,
            match=r"the budget of 4 units a day is used up \(4 used\).* a run after 2026-11-21 08:00 UTC .* goes on",
        ) as stop:
            runner.run("v1", units=4)
        receipt = stop.value.receipt
        assert (receipt.is_quota_spent, receipt.units_spent, receipt.videos_by_state) == (True, 4, {"open": 1})
        assert runner.query(KNOWN) == names(5, 6, 7, 8)
        assert runner.youtube.count_calls() == {"videos": 1, "channels": 1, "commentThreads": 2}

        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=4, now=DAY + timedelta(hours=19, minutes=59))
        assert runner.youtube.count_calls() == {}

        tomorrow = DAY + timedelta(hours=20)
        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=4, now=tomorrow)
        assert runner.query(KNOWN) == names(1, 2, 3, 4, 5, 6, 7, 8)
        receipt = runner.run("v1", units=4, now=tomorrow + timedelta(days=1))
        assert runner.query(KNOWN) == names(*range(9))
        assert (receipt.units_spent, receipt.videos_by_state) == (3, {"done": 1})
        assert runner.query(CURSORS) == [("v1", "done", True, DAY, DAY)]
        assert runner.query("select sum(units) from ops.quota group by resets_at order by resets_at") == [
            (4,),
            (4,),
            (3,),
        ]


def test_what_came_while_a_listing_was_interrupted_follows_it(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(4))
    with watch(lake, video) as runner:
        runner.youtube.page_size = 2
        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=3)
        later = DAY + timedelta(days=1)
        video.threads.append(Comment("c99", minute=29_000))
        runner.youtube.count_calls()
        runner.run("v1", now=later)
        assert runner.youtube.count_calls()["commentThreads"] == 3, "one that was left, one new, one that was known"
        assert runner.query(KNOWN) == names(0, 1, 2, 3, 99)
        assert runner.query(CURSORS) == [("v1", "done", False, later, DAY)]


def test_a_page_token_that_has_expired_begins_the_listing_again(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(6))
    with watch(lake, video) as runner:
        runner.youtube.page_size = 2
        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=4)
        runner.youtube.forget_tokens()
        video.threads.pop()
        runner.youtube.count_calls()
        later = DAY + timedelta(days=1)
        receipt = runner.run("v1", now=later)
        assert runner.youtube.count_calls()["commentThreads"] == 1 + 3
        assert runner.query(KNOWN) == names(*range(6))
        assert [(batch.rows_read, batch.rows_accepted, batch.rows_known) for batch in receipt.batches][-1] == (5, 2, 3)
        assert runner.query(DELETIONS) == [("c5", later, True)], "this one was complete"


def test_an_interruption_leaves_no_gap_even_if_the_token_expires(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(2))
    with watch(lake, video) as runner:
        runner.youtube.page_size = 2
        runner.run("v1")
        video.threads += [Comment(f"c{number}", minute=29_000 + number) for number in range(10, 16)]
        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=3, now=DAY + timedelta(days=1))
        assert runner.query(KNOWN) == names(0, 1, 14, 15)
        runner.youtube.forget_tokens()
        runner.run("v1", now=DAY + timedelta(days=2))
        assert runner.query(KNOWN) == names(0, 1, *range(10, 16))


def test_rows_of_a_page_that_the_budget_cuts_are_kept(lake: Lake) -> None:
    threads = make_threads(2)
    threads[1].replies = [Comment(f"c1.r{number}", minute=9) for number in range(7)]
    with watch(lake, Video("v1", threads=threads)) as runner:
        with pytest.raises(QuotaStop, match="used up"):
            runner.run("v1", units=3)
        assert runner.query(KNOWN) == names(0), "a thread whose replies are missing is not known yet"
        runner.run("v1", now=DAY + timedelta(days=1))
        assert runner.query("select count(*) from raw.comments") == [(9,)]


def test_youtubes_own_quota_stops_a_run_as_well(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(3))) as runner:
        runner.youtube.page_size = 2
        runner.youtube.units_left = 3
        with pytest.raises(QuotaStop, match=r"today's quota of the key is used up .*exceeded your quota\..*goes on"):
            runner.run("v1")
        assert runner.query(KNOWN) == names(1, 2)
        assert runner.query("select sum(units) from ops.quota") == [(4,)], "a refused call costs its unit"
        runner.youtube.units_left = None
        runner.run("v1", now=DAY + timedelta(days=1))
        assert runner.query(KNOWN) == names(0, 1, 2)


def test_every_video_has_its_turn_however_small_the_budget(lake: Lake) -> None:
    videos = [Video(f"v{number}", threads=[Comment(f"c{number}")]) for number in range(3)]
    with watch(lake, *videos) as runner:
        for day in range(2):
            with pytest.raises(QuotaStop, match="used up") as stop:
                runner.run(channel="UCchannel", units=4, now=DAY + timedelta(days=day))
            assert stop.value.receipt.videos_by_state == {"done": 1, "waiting": 2 - day}
            assert runner.query(KNOWN) == names(*range(day + 1))
        assert runner.run(channel="UCchannel", units=4, now=DAY + timedelta(days=2)).videos_by_state == {"done": 1}
        assert runner.query(KNOWN) == names(0, 1, 2)
