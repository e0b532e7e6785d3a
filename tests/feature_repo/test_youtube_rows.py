"""Items of YouTube as rows: literal items beside literal rows, and real ones."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake
from feature_repo.sources.youtube_rows import (
    build_channel,
    build_comment,
    build_thread,
    build_video,
    has_more_replies,
    read_published_at,
)
from tests.feature_repo.youtube_runner import DAY, watch
from tests.feature_repo.youtube_server import Video

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOLD = "2026-11-20T12:00:00+00:00"
COMMENT: dict[str, Any] = {
    "id": "c1",
    "snippet": {
        "authorDisplayName": "@ann",
        "authorChannelId": {"value": "UCann"},
        "textDisplay": "a title",
        "textOriginal": "https://youtu.be/x",
        "likeCount": 3,
        "publishedAt": "2026-11-01T00:00:00Z",
    },
}


def _build(**snippet: Any) -> dict[str, str | None]:
    return build_comment({"id": "c1", "snippet": COMMENT["snippet"] | snippet}, NOW, channel_id="UC", video_id="v")


def test_a_comment_is_told_by_its_original_text_and_its_authors_channel() -> None:
    assert _build() == {
        "comment_id": "c1",
        "channel_id": "UC",
        "video_id": "v",
        "parent_id": None,
        "author_id": "UCann",
        "text": "https://youtu.be/x",
        "published_at": "2026-11-01T00:00:00Z",
        "observed_at": TOLD,
        "like_count": "3",
        "reply_count": None,
    }


def test_what_is_not_told_falls_back_or_is_null() -> None:
    item = {"id": "c1", "snippet": {"authorDisplayName": "@ann", "textDisplay": "shown"}}
    row = build_comment(item, NOW, channel_id="UC", video_id="v")
    assert (row["author_id"], row["text"], row["published_at"], row["like_count"]) == ("@ann", "shown", None, None)


@pytest.mark.parametrize(
    ("published_at", "observed_at"),
    [
        ("2026-11-20T12:00:01Z", "2026-11-20T12:00:01+00:00"),
        ("2026-11-20T11:59:59Z", TOLD),
        ("yesterday", TOLD),
        ("2026-11-21T00:00:00", TOLD),
    ],
)
def test_what_is_shown_was_published_whatever_our_clock_says(published_at: str, observed_at: str) -> None:
    row = _build(publishedAt=published_at)
    assert (row["published_at"], row["observed_at"]) == (published_at, observed_at)


def test_a_thread_is_its_comment_and_the_replies_that_came_with_it() -> None:
    snippet = {"videoId": "v", "topLevelComment": COMMENT, "totalReplyCount": 2}
    reply = {"id": "c1.r", "snippet": {"textDisplay": "yes", "parentId": "c1"}}
    thread = {"id": "c1", "snippet": snippet, "replies": {"comments": [reply]}}
    rows = list(build_thread(thread, NOW, channel_id="UC"))
    keys = ("comment_id", "parent_id", "channel_id", "video_id", "text", "reply_count")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("c1", None, "UC", "v", "https://youtu.be/x", "2"),
        ("c1.r", "c1", "UC", "v", "yes", None),
    ]
    assert has_more_replies(thread)
    assert not has_more_replies({**thread, "snippet": {**snippet, "totalReplyCount": 1}})
    assert read_published_at(thread) == datetime(2026, 11, 1, tzinfo=UTC)


def test_hidden_numbers_are_null() -> None:
    statistics = {"viewCount": "5", "subscriberCount": "0", "hiddenSubscriberCount": True, "videoCount": "2"}
    channel = build_channel({"id": "UC", "snippet": {"title": "t"}, "statistics": statistics}, NOW)
    assert channel == {
        "channel_id": "UC",
        "title": "t",
        "observed_at": TOLD,
        "subscriber_count": None,
        "view_count": "5",
        "video_count": "2",
    }
    video = build_video({"id": "v", "snippet": {"channelId": "UC"}, "statistics": {"viewCount": "1"}}, NOW)
    assert (video["view_count"], video["like_count"], video["comment_count"]) == ("1", None, None)


def _read_answer(name: str) -> Any:
    folder = os.environ.get("SCORELAKE_TEST_DATA")
    if not folder:
        pytest.skip("SCORELAKE_TEST_DATA is not set: real answers of YouTube are not here")
    return json.loads((Path(folder) / "youtube_api" / name).read_text(encoding="utf-8"))


def test_real_answers_land(lake: Lake) -> None:
    threads = [_read_answer(f"comment_threads_by_video_paged_{number}.json") for number in (1, 2)]
    channels, videos = _read_answer("info_multiple.json"), _read_answer("videos_info_multi.json")
    asked = [video["id"] for video in videos["items"]]
    with watch(lake, Video("unused")) as runner:
        runner.youtube.canned = {
            "videos": lambda _: videos,
            "channels": lambda _: channels,
            "commentThreads": lambda told: threads["pageToken" in told],
        }
        runner.run(*asked)
        tops = [item["snippet"]["topLevelComment"] for page in threads for item in page["items"]]
        assert runner.query(
            "select distinct comment_id, text, author_id is not null from raw.comments order by 1"
        ) == sorted({(top["id"], top["snippet"]["textOriginal"], True) for top in tops})
        assert runner.query("select channel_id, title, subscriber_count from raw.channels order by 1") == [
            ("UCK8sQmJBp8GCxrOtXWBpyEA", "Google", 10_700_000),
            ("UC_x5XG1OV2P6uZZ5FSM9Ttw", "Google Developers", 2_260_000),
        ]
        assert runner.query("select video_id, observed_at from raw.videos order by 1") == [
            (it, DAY) for it in sorted(asked)
        ]
        assert runner.query("select count(*) from raw.quarantine") == [(0,)]
