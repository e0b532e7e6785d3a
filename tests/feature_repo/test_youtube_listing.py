"""The comments of one video, page after page: order, replies, where it stops, and what YouTube refuses."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from feature_repo.lake import Lake
from feature_repo.sources import youtube_cursors
from feature_repo.sources.youtube_client import YouTubeApi
from feature_repo.sources.youtube_cursors import Cursor
from feature_repo.sources.youtube_faults import QuotaSpent
from feature_repo.sources.youtube_listing import Listed, list_comments
from feature_repo.sources.youtube_quota import Quota
from tests.feature_repo.youtube_runner import DAY, make_threads
from tests.feature_repo.youtube_server import KEY, START, Comment, Fault, Video, YouTube, serve

VIDEO = youtube_cursors.Video("v1", "UC", 5)
FULL = Cursor("v1", "open", DAY, is_full=True, comment_count=5)


@pytest.fixture
def youtube() -> YouTube:
    youtube = YouTube(Video("v1", threads=make_threads(5)))
    youtube.page_size = 2
    return youtube


@pytest.fixture
def address(youtube: YouTube) -> Iterator[str]:
    with serve(youtube) as served:
        yield served


@pytest.fixture
def api(lake: Lake, address: str) -> YouTubeApi:
    quota = Quota(lake, "r1", units_per_day=100, clock=lambda: DAY)
    return YouTubeApi(KEY, quota, base_url=address, first_wait=timedelta(milliseconds=1))


def _list(api: YouTubeApi, cursor: Cursor = FULL, **known: int) -> list[Listed]:
    return list(list_comments(api, VIDEO, cursor, lambda ids: {name: known[name] for name in ids if name in known}))


def _ids(steps: list[Listed]) -> list[str | None]:
    return [row["comment_id"] for step in steps for row in step.rows]


def _cursors(steps: list[Listed]) -> list[Cursor]:
    return [step.cursor for step in steps if step.cursor]


def test_threads_come_newest_first_with_a_cursor_after_each_page(api: YouTubeApi, youtube: YouTube) -> None:
    steps = _list(api)
    assert _ids(steps) == ["c4", "c3", "c2", "c1", "c0"]
    cursors = _cursors(steps)
    assert [(cursor.state, cursor.page_token is None) for cursor in cursors] == [
        ("open", False),
        ("open", False),
        ("done", True),
    ]
    assert (cursors[-1].caught_up_at, cursors[-1].completed_at, steps[-1].is_whole) == (DAY, DAY, True)
    assert [call.parameters["order"] for call in youtube.calls] == ["time"] * 3


def test_all_replies_are_read_where_some_did_not_come_along(api: YouTubeApi, youtube: YouTube) -> None:
    many = [Comment(f"c1.r{number}", minute=9) for number in range(8)]
    youtube.videos["v1"].threads[1].replies = many
    youtube.videos["v1"].threads[4].replies = [Comment("c4.r0", minute=9)]
    steps = _list(api)
    assert youtube.count_calls() == {"commentThreads": 3, "comments": 4}
    assert set(_ids(steps)) == {f"c{number}" for number in range(5)} | {reply.comment_id for reply in many} | {"c4.r0"}
    assert _ids(steps).index("c1.r7") < _ids(steps).index("c1"), "a thread is known when its replies are"


def test_a_listing_of_the_newest_stops_where_it_meets_what_is_known(api: YouTubeApi, youtube: YouTube) -> None:
    mark = START + timedelta(minutes=2, hours=1, seconds=1)
    steps = _list(api, Cursor("v1", "open", DAY, is_full=False, caught_up_at=mark, completed_at=mark))
    assert _ids(steps) == ["c4", "c3", "c2", "c1"]
    (last,) = _cursors(steps)[1:]
    assert (last.state, last.caught_up_at, last.completed_at, steps[-1].is_whole) == ("done", DAY, mark, False)


def test_a_listing_of_the_newest_asks_for_replies_whose_number_is_not_known(api: YouTubeApi, youtube: YouTube) -> None:
    for thread in youtube.videos["v1"].threads[3:]:
        thread.replies = [Comment(f"{thread.comment_id}.r{number}", minute=9) for number in range(6)]
    newest = Cursor("v1", "open", DAY, is_full=False, caught_up_at=DAY, completed_at=DAY)
    _list(api, newest, c3=6, c4=5)
    assert [call.parameters["parentId"] for call in youtube.calls if call.method == "comments"] == ["c4"] * 3
    youtube.calls.clear()
    _list(api, FULL, c3=6, c4=6)
    assert {call.parameters["parentId"] for call in youtube.calls if call.method == "comments"} == {"c3", "c4"}


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        ((403, "commentsDisabled"), "disabled"),
        ((404, "videoNotFound"), "not_found"),
        ((403, "forbidden"), "forbidden"),
        ((400, "processingFailure"), "unreadable"),
        ((400, "operationNotSupported"), "unreadable"),
    ],
)
def test_what_youtube_refuses_is_noted(api: YouTubeApi, youtube: YouTube, refusal: tuple[int, str], state: str) -> None:
    youtube.videos["v1"].refusal = refusal
    (step,) = _list(api)
    assert (step.rows, step.is_whole) == ((), False)
    assert step.cursor == Cursor("v1", state, DAY, is_full=True, comment_count=5, reason=refusal[1])


def test_a_token_that_is_refused_begins_the_listing_again_but_not_for_ever(api: YouTubeApi, youtube: YouTube) -> None:
    later = Cursor("v1", "open", DAY - timedelta(days=1), is_full=True, page_token="old", comment_count=3)  # noqa: S106 - no password
    steps = _list(api, later)
    assert _ids(steps) == ["c4", "c3", "c2", "c1", "c0"]
    assert (_cursors(steps)[-1].began_at, _cursors(steps)[-1].comment_count, steps[-1].is_whole) == (DAY, 5, True)

    cursors = []
    for step in list_comments(api, VIDEO, later, lambda _: {}):
        cursors += _cursors([step])
        youtube.forget_tokens()
    assert [(cursor.state, cursor.reason) for cursor in cursors] == [
        ("open", None),
        ("unreadable", "processingFailure"),
    ]


def test_a_resumed_listing_is_not_a_whole_one(api: YouTubeApi) -> None:
    first = _cursors(_list(api))[0]
    steps = _list(api, first)
    assert (_ids(steps), steps[-1].is_whole) == (["c2", "c1", "c0"], False)


def test_with_replies_that_cannot_be_read_no_listing_is_whole(api: YouTubeApi, youtube: YouTube) -> None:
    youtube.videos["v1"].threads[0].replies = [Comment(f"c0.r{number}", minute=9) for number in range(7)]
    youtube.fault_at["comments", 1] = Fault(404, "commentNotFound")
    steps = _list(api)
    assert {"c0", "c0.r6"} <= set(_ids(steps)), "what came along is there"
    assert (_cursors(steps)[-1].state, steps[-1].is_whole) == ("done", False)


def test_rows_read_before_the_quota_ends_are_given(api: YouTubeApi, youtube: YouTube) -> None:
    youtube.videos["v1"].threads[4].replies = [Comment(f"c4.r{number}", minute=9) for number in range(7)]
    youtube.units_left = 2
    steps = list_comments(api, VIDEO, FULL, lambda _: {})
    read = [next(steps), next(steps)]
    with pytest.raises(QuotaSpent, match="today's quota"):
        next(steps)
    assert (_ids(read), _cursors(read)) == (["c3", "c4.r0", "c4.r1"], [])
