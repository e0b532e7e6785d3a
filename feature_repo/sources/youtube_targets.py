"""The channels and videos that a run was asked for, as YouTube tells them now: their rows, and the videos to list.

Their comments belong to `youtube_listing`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from feature_repo.errors import BadData
from feature_repo.sources.youtube_client import Page, Parameters, YouTubeApi
from feature_repo.sources.youtube_cursors import Video
from feature_repo.sources.youtube_faults import Rejected
from feature_repo.sources.youtube_landing import Landing
from feature_repo.sources.youtube_rows import Item, build_channel, build_video

# Stage, done so far, how many in all (None if that is not known).
Progress = Callable[[str, int, int | None], None]

_IDS_PER_CALL: Final = 50
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHANNELS: Final[Parameters] = {"part": "snippet,contentDetails,statistics", "maxResults": _IDS_PER_CALL}
_UPLOADS: Final[Parameters] = {"part": "contentDetails", "maxResults": 50}
_VIDEOS: Final[Parameters] = {"part": "snippet,statistics"}


@dataclass(slots=True)
class Targets:
    """What was found: the videos, the ids that YouTube does not know, and what could not be read, by id."""

    videos: list[Video] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def check_ids(channels: Sequence[str], videos: Sequence[str]) -> None:
    """Raise `BadData` if nothing is asked for, or what is given as an id is none, such as an address or a name."""
    if not channels and not videos:
        raise BadData("expected the id of a channel or a video, found none")
    wrong = [told for told in (*channels, *videos) if not _ID.fullmatch(told)]
    if wrong:
        raise BadData(
            f"expected ids such as UC_x5XG1OV2P6uZZ5FSM9Ttw (channel) or F1UP7wRCPH8 (video), found {wrong[0]!r}; "
            "an id is the last part of the address, after /channel/ or watch?v="
        )


def observe_targets(
    api: YouTubeApi, landing: Landing, *, channels: Sequence[str], videos: Sequence[str], on_progress: Progress
) -> Targets:
    """Observe channels with all their uploads, and single videos with their channels; the rows go to `landing`.

    A channel costs one unit, and each 50 of its videos two; single videos one for each 50, and as much for
    their channels. What YouTube does not know or does not show is noted, and the rest goes on.

    Raises
    ------
    QuotaSpent, BadData, Unavailable
        As `YouTubeApi.read_page`; what was observed before is in `landing`.
    """
    targets = Targets()
    video_ids = dict.fromkeys(videos)
    for channel, playlist in _observe_channels(api, landing, channels, targets).items():
        for video_id in _list_uploads(api, channel, playlist, targets):
            video_ids[video_id] = None
            on_progress("videos found", len(video_ids), None)
    _observe_videos(api, landing, list(video_ids), targets, on_progress)
    others = dict.fromkeys(video.channel_id for video in targets.videos if video.channel_id not in channels)
    _observe_channels(api, landing, list(others), targets)
    return targets


def _observe_channels(api: YouTubeApi, landing: Landing, ids: Sequence[str], targets: Targets) -> dict[str, str]:
    """Observe channels; the playlist of each one's uploads, by id."""
    playlists: dict[str, str] = {}
    for page in _read_by_id(api, "channels", _CHANNELS, ids):
        landing.add("channels", (build_channel(item, page.observed_at) for item in page.items))
        playlists |= {item["id"]: item["contentDetails"]["relatedPlaylists"]["uploads"] for item in page.items}
    targets.missing.extend(channel for channel in ids if channel not in playlists)
    return playlists


def _list_uploads(api: YouTubeApi, channel: str, playlist: str, targets: Targets) -> Iterator[str]:
    try:
        for page in api.read_pages("playlistItems", {**_UPLOADS, "playlistId": playlist}):
            yield from (item["contentDetails"]["videoId"] for item in page.items)
    except Rejected as refusal:
        if refusal.reason != "playlistNotFound":  # that is how a channel without uploads looks
            targets.unread[channel] = refusal.reason


def _observe_videos(
    api: YouTubeApi, landing: Landing, ids: Sequence[str], targets: Targets, on_progress: Progress
) -> None:
    for page in _read_by_id(api, "videos", _VIDEOS, ids):
        landing.add("videos", (build_video(item, page.observed_at) for item in page.items))
        targets.videos.extend(_build_video(item) for item in page.items)
        on_progress("videos observed", len(targets.videos), len(ids))
    found = {video.video_id for video in targets.videos}
    targets.missing.extend(video for video in ids if video not in found)


def _read_by_id(api: YouTubeApi, method: str, parameters: Parameters, ids: Sequence[str]) -> Iterator[Page]:
    for first in range(0, len(ids), _IDS_PER_CALL):
        yield api.read_page(method, {**parameters, "id": ",".join(ids[first : first + _IDS_PER_CALL])})


def _build_video(item: Item) -> Video:
    count = item.get("statistics", {}).get("commentCount")
    return Video(item["id"], item["snippet"]["channelId"], None if count is None else int(count))
