"""Runs against a YouTube on loopback: what lands, what a run costs, what it finds changed or gone."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, write_lake
from tests.feature_repo.youtube_runner import DAY, DELETIONS, KNOWN, make_threads, names, watch
from tests.feature_repo.youtube_server import Comment, Fault, Video


def test_a_channel_its_videos_and_their_comments_land(lake: Lake) -> None:
    thread = Comment("c1", "first", "UCann", likes=3, minute=1, replies=[Comment("c1.r1", "answer", "UCbob", minute=2)])
    with watch(lake, Video("v1", threads=[thread])) as runner:
        receipt = runner.run(channel="UCchannel")
        assert runner.query(
            "select channel_id, title, observed_at, subscriber_count, video_count from raw.channels"
        ) == [("UCchannel", "title of UCchannel", DAY, 10_700_000, 2_678)]
        assert runner.query("select video_id, channel_id, view_count, comment_count from raw.videos") == [
            ("v1", "UCchannel", 1_000, 2)
        ]
        columns = "comment_id, channel_id, video_id, parent_id, text, published_at, observed_at, source"
        assert runner.query(f"select {columns} from raw.comments order by 1") == [
            ("c1", "UCchannel", "v1", None, "first", datetime(2026, 11, 1, 0, 1, tzinfo=UTC), DAY, "youtube"),
            ("c1.r1", "UCchannel", "v1", "c1", "answer", datetime(2026, 11, 1, 0, 2, tzinfo=UTC), DAY, "youtube"),
        ]
        assert runner.query("select comment_id, like_count, reply_count from raw.comment_counts order by 1") == [
            ("c1", 3, 1),
            ("c1.r1", 0, None),
        ]
        assert receipt.videos_by_state == {"done": 1}
        assert [(batch.batch_id, batch.kind, batch.rows_accepted) for batch in receipt.batches] == [
            ("run1-001-channels", "channels", 1),
            ("run1-002-videos", "videos", 1),
            ("run1-003-comments", "comments", 2),
        ]
        assert runner.query("select method, calls, units, resets_at from ops.quota order by 1") == [
            (method, 1, 1, datetime(2026, 11, 21, 8, tzinfo=UTC))
            for method in ("channels", "commentThreads", "playlistItems", "videos")
        ]


def test_a_second_run_costs_little_and_adds_nothing(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(5)), Video("v2", threads=make_threads(2, first=5))) as runner:
        runner.youtube.page_size = 2
        runner.run(channel="UCchannel")
        first = runner.youtube.count_calls()
        before = runner.query("from raw.comments order by all"), runner.query("from raw.comment_counts order by all")
        receipt = runner.run(channel="UCchannel", now=DAY + timedelta(hours=1))
        assert first == {"channels": 1, "playlistItems": 1, "videos": 1, "commentThreads": 4}
        assert runner.youtube.count_calls() == {"channels": 1, "playlistItems": 1, "videos": 1}
        assert (
            runner.query("from raw.comments order by all"),
            runner.query("from raw.comment_counts order by all"),
        ) == before
        assert receipt.videos_by_state == {}


def test_new_replies_are_read_where_their_number_has_changed(lake: Lake) -> None:
    threads = make_threads(2)
    for thread in threads:
        thread.replies = [Comment(f"{thread.comment_id}.r{number}", minute=5) for number in range(7)]
    with watch(lake, Video("v1", threads=threads)) as runner:
        runner.run("v1")
        assert runner.youtube.count_calls()["comments"] == 2
        threads[0].replies.append(Comment("c0.r7", minute=6))
        runner.run("v1", now=DAY + timedelta(hours=1))
        assert runner.youtube.count_calls()["comments"] == 1
        assert runner.query("select count(*) from raw.comments where comment_id = 'c0.r7'") == [(1,)]


def test_an_edited_comment_becomes_a_second_text(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(2))
    with watch(lake, video) as runner:
        runner.run("v1")
        video.threads[0].text = "text 0, edited"
        runner.run("v1", now=DAY + timedelta(days=6))
        assert runner.query("select count(*) from raw.comments") == [(2,)], "the number of comments tells nothing"
        later = DAY + timedelta(days=7)
        runner.run("v1", now=later)
        assert runner.query("select text, observed_at from raw.comments where comment_id = 'c0' order by 2") == [
            ("text 0", DAY),
            ("text 0, edited", later),
        ]


def test_what_a_complete_listing_no_longer_has_is_gone_until_it_is_shown_again(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(3))
    video.threads[0].replies = [Comment("c0.r0", minute=9)]
    days = [DAY + timedelta(days=8 * number) for number in range(5)]
    with watch(lake, video) as runner:
        runner.run("v1", now=days[0])
        gone = video.threads.pop(1)
        video.threads[0].replies.clear()
        receipt = runner.run("v1", now=days[1])
        assert (receipt.comments_deleted, receipt.comments_returned) == (2, 0)
        assert runner.query(DELETIONS) == [("c0.r0", days[1], True), ("c1", days[1], True)]
        assert runner.run("v1", now=days[2]).comments_deleted == 0, "it is known"
        video.threads.append(gone)
        receipt = runner.run("v1", now=days[3])
        assert (receipt.comments_deleted, receipt.comments_returned) == (0, 1)
        assert runner.query(DELETIONS)[2:] == [("c1", days[3], False)]
        video.threads.remove(gone)
        assert runner.run("v1", now=days[4]).comments_deleted == 1


def test_comments_of_another_source_are_not_missed(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(2))
    with watch(lake, video) as runner:
        runner.run("v1")
        with write_lake(lake, purpose="test") as connection:
            connection.execute("update raw.comments set source = 'a file' where comment_id = 'c0'")
        video.threads.clear()
        runner.run("v1", now=DAY + timedelta(days=8))
        assert [name for name, *_ in runner.query(DELETIONS)] == ["c1"]


def test_a_listing_of_the_newest_only_finds_nothing_gone(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(4))
    with watch(lake, video) as runner:
        runner.run("v1")
        video.threads.pop(0)
        receipt = runner.run("v1", now=DAY + timedelta(days=1))
        assert receipt.videos_by_state == {"done": 1}
        assert runner.query(DELETIONS) == []


def test_disabled_comments_are_noted_and_the_rest_goes_on(lake: Lake) -> None:
    closed = Video("v1", refusal=(403, "commentsDisabled"))
    with watch(lake, closed, Video("v2", threads=make_threads(1))) as runner:
        receipt = runner.run(channel="UCchannel")
        assert (receipt.videos_by_state, receipt.unread) == ({"disabled": 1, "done": 1}, {"v1": "commentsDisabled"})
        assert runner.query(KNOWN) == names(0)
        assert runner.query("select state, reason from ops.cursors where video_id = 'v1'") == [
            ("disabled", "commentsDisabled")
        ]
        runner.youtube.count_calls()
        runner.run(channel="UCchannel", now=DAY + timedelta(days=6))
        assert "commentThreads" not in runner.youtube.count_calls(), "it is not asked again so soon"
        closed.refusal, closed.threads = None, [Comment("c9")]
        runner.run(channel="UCchannel", now=DAY + timedelta(days=6))
        assert runner.query(KNOWN) == names(0, 9), "the number of comments tells that it is open again"


def test_disabled_comments_are_not_taken_for_deleted(lake: Lake) -> None:
    video = Video("v1", threads=make_threads(2))
    with watch(lake, video) as runner:
        runner.run("v1")
        video.refusal = (403, "commentsDisabled")
        assert runner.run("v1", now=DAY + timedelta(days=8)).videos_by_state == {"disabled": 1}
        assert runner.query(DELETIONS) == []


def test_what_was_fetched_lands_though_youtube_goes_away(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(4))) as runner:
        runner.youtube.page_size = 2
        runner.youtube.fault_at["commentThreads", 2] = Fault(503, "backendError", "Service is away.")
        with pytest.raises(
            Unavailable, match=r"YouTube answered 503 backendError to commentThreads: Service is away\."
        ):
            runner.run("v1")
        assert runner.query(KNOWN) == names(2, 3)
        assert runner.query("select calls from ops.quota where method = 'commentThreads'") == [(7,)]
        runner.youtube.fault_at.clear()
        runner.youtube.count_calls()
        runner.run("v1")
        assert runner.youtube.count_calls()["commentThreads"] == 1
        assert runner.query(KNOWN) == names(0, 1, 2, 3)
