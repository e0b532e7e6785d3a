"""Rows on their way into the lake: in which batches, with which cursors, and what never reaches the disk."""

from datetime import timedelta

import pytest

from feature_repo.errors import Refused, Unavailable
from feature_repo.lake import Lake
from feature_repo.sources.revert import revert_batch
from feature_repo.sources.youtube_ingest import ingest_youtube
from tests.feature_repo.youtube_runner import DAY, KNOWN, make_threads, names, watch
from tests.feature_repo.youtube_server import Comment, Fault, Video


def test_after_a_batch_was_taken_back_its_comments_come_again(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(2))) as runner:
        comments = runner.run("v1").batches[-1]
        revert_batch(lake, comments.batch_id, run_id="revert", now=DAY + timedelta(hours=1))
        assert runner.query(KNOWN) == []
        runner.run("v1", now=DAY + timedelta(hours=2))
        assert runner.query(KNOWN) == names(0, 1)


def test_too_many_bad_rows_move_no_cursor(lake: Lake) -> None:
    threads = make_threads(3)
    threads[0].comment_id = "c" * 200
    with watch(lake, Video("v1", threads=threads)) as runner:
        with pytest.raises(Refused, match=r"1 of 3 comments are bad, more than the limit.*--batch run1-003-comments"):
            runner.run("v1")
        assert runner.query("select reasons from raw.quarantine") == [(["comment_id_malformed"],)]
        assert runner.query("select count(*) from ops.cursors") == [(0,)]
        threads[0].comment_id = "c0"
        runner.run("v1")
        assert runner.query(KNOWN) == names(0, 1, 2)


def test_a_comment_of_only_a_picture_makes_no_row_and_is_not_taken_for_deleted(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=[Comment("c0", text=""), Comment("c1")])) as runner:
        receipt = runner.run("v1")
        assert (receipt.comments_without_text, runner.query(KNOWN)) == (1, names(1))
        runner.youtube.videos["v1"].threads[1].text = ""
        receipt = runner.run("v1", now=DAY + timedelta(days=8))
        assert (receipt.comments_without_text, receipt.comments_deleted) == (2, 0)


def test_what_no_encoding_can_write_goes_to_the_quarantine(lake: Lake) -> None:
    threads = [*make_threads(5), Comment("c9", text="half \ud83d")]
    with watch(lake, Video("v1", threads=threads)) as runner:
        runner.run("v1")
        assert runner.query(KNOWN) == names(0, 1, 2, 3, 4)
        assert runner.query("select reasons from raw.quarantine") == [(["line_not_json"],)]


def test_no_author_and_no_key_is_anywhere_on_disk(lake: Lake) -> None:
    thread = Comment("c1", author="UCann-onymous", replies=[Comment("c1.r0", author="UCbob-onymous")])
    bad = Comment("c" * 200, author="UCcid-onymous")
    odd = Comment("c2", text="half \ud83d", author="UCdan-onymous")
    with watch(lake, Video("v1", threads=[thread, bad, odd, *make_threads(9, first=10)])) as runner:
        runner.run("v1")
        assert runner.query("select count(*), count(distinct author_id) from raw.comments") == [(11, 3)]
        assert runner.query("select count(*) from raw.quarantine") == [(2,)]
        told = str([runner.query(f"from {table}") for table in ("raw.comments", "raw.quarantine", "ops.runs")])
        files = b"".join(file.read_bytes() for file in lake.home.rglob("*") if file.is_file())
        assert not any(word in told or word.encode() in files for word in ("onymous", "AIzaSy"))
        assert list(lake.staging.iterdir()) == []


def test_a_step_that_is_tried_again_counts_its_units_and_batches_on(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(4))) as runner:
        runner.youtube.page_size = 2
        api, request = runner.open("v1")
        runner.youtube.fault_at["commentThreads", 2] = Fault(503, "backendError")
        with pytest.raises(Unavailable, match="503 backendError"):
            ingest_youtube(lake, request, api)
        runner.youtube.fault_at.clear()
        receipt = ingest_youtube(lake, request, api)
        assert [batch.batch_id for batch in receipt.batches] == [
            "run1-004-channels",
            "run1-005-videos",
            "run1-006-comments",
        ]
        assert (runner.query(KNOWN), receipt.units_spent) == (names(0, 1, 2, 3), 2 + 1 + 6 + 2 + 1)


def test_a_long_listing_lands_on_its_way(lake: Lake) -> None:
    with watch(lake, Video("v1", threads=make_threads(20_100))) as runner:
        receipt = runner.run("v1")
        landed = [(batch.kind, batch.rows_accepted) for batch in receipt.batches]
        assert landed == [("channels", 1), ("videos", 1), ("comments", 20_000), ("comments", 100)]
