"""The channels and videos asked for: what is found, what is not, and what that costs."""

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from tests.feature_repo.youtube_runner import watch
from tests.feature_repo.youtube_server import Fault, Video


def test_more_videos_than_a_call_takes(lake: Lake) -> None:
    with watch(lake, *(Video(f"v{number}") for number in range(60))) as runner:
        receipt = runner.run(channel="UCchannel")
        assert runner.youtube.count_calls() == {"channels": 1, "playlistItems": 2, "videos": 2}
        assert runner.query("select count(distinct video_id) from raw.videos") == [(60,)]
        assert (receipt.videos, receipt.videos_by_state) == (60, {}), "without comments there is nothing to list"


def test_ids_that_youtube_does_not_know_are_told(lake: Lake) -> None:
    with watch(lake, Video("v1")) as runner:
        assert runner.run("v1", "v2", channel="UCnobody").missing == ("UCnobody", "v2")
        with pytest.raises(BadData, match="YouTube knows no UCnobody and no v2; expected the id of a channel or video"):
            runner.run("v2", channel="UCnobody")
        with pytest.raises(BadData, match=r"expected ids such as .*, found 'youtu.be/x'; an id is the last part of"):
            runner.run("youtu.be/x")
        with pytest.raises(BadData, match="expected the id of a channel or a video, found none"):
            runner.run()


def test_a_list_of_uploads_that_breaks_off_is_told_and_the_rest_goes_on(lake: Lake) -> None:
    with watch(lake, *(Video(f"v{number}") for number in range(3)), Video("w", "UCother")) as runner:
        runner.youtube.page_size = 2
        runner.youtube.fault_at["playlistItems", 2] = Fault(400, "invalidPageToken")
        receipt = runner.run("w", channel="UCchannel")
        assert (receipt.videos, receipt.unread) == (3, {"UCchannel": "invalidPageToken"})
        assert runner.query("select channel_id from raw.channels order by 1") == [("UCchannel",), ("UCother",)]


def test_a_channel_without_uploads_is_no_error(lake: Lake) -> None:
    with watch(lake, Video("v1", "UCother")) as runner:
        runner.youtube.channels["UCchannel"] = None
        receipt = runner.run(channel="UCchannel")
        assert (receipt.videos, receipt.missing, receipt.unread) == (0, (), {})
