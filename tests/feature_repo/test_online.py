"""The online store: filled to an instant, brought up to date by what has changed, read as a request would."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from feature_repo.features.materialize import materialize_features, rebuild_features
from feature_repo.lake import Lake, read_lake
from feature_repo.online import OnlineState, fill_online, read_online, read_online_state
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.revert import RevertReceipt, revert_batch
from tests.feature_repo.raw_rows import START, add_batch

HOUR = timedelta(hours=1)
REDIS = os.environ.get("SCORELAKE_TEST_REDIS")


@pytest.fixture(params=["file", "redis"])
def served(request: pytest.FixtureRequest, lake: Lake) -> Iterator[Lake]:
    """A lake with definitions applied, and the online store in a file or on Redis."""
    if request.param == "redis":
        if not REDIS:
            pytest.skip("SCORELAKE_TEST_REDIS names no Redis (host:port)")
        # Workers run beside each other: each has a database of its own.
        number = 8 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
        lake = replace(lake, redis=f"{REDIS},db={number}")
    apply_definitions(lake)
    yield lake
    if lake.redis:
        import redis  # noqa: PLC0415 - of the optional extra

        host, port = str(REDIS).split(":")
        redis.Redis(host, int(port), db=number).flushdb()


def refresh(lake: Lake, now: datetime) -> datetime | None:
    materialize_features(lake, run_id=f"m-{now:%d%H%M}", now=now)
    return fill_online(lake, run_id=f"o-{now:%d%H%M}", now=now).start_at


def read(lake: Lake, at: datetime, channel: str = "c1", video: str = "v1") -> dict[str, Any]:
    [row] = read_online(lake, "sentiment_v1", [{"channel_id": channel, "video_id": video}], at=at)
    return row


def test_values_are_those_of_the_last_filling_and_ages_those_of_the_request(served: Lake) -> None:
    add_batch(
        served,
        comments=[{"comment_id": "a"}],
        channels=[{"channel_id": "c1", "observed_at": START, "subscriber_count": 10}],
        videos=[{"video_id": "v1", "channel_id": "c1", "observed_at": START + HOUR, "view_count": 5}],
    )
    now = START + 2 * HOUR
    assert refresh(served, now) == START
    row = read(served, now + HOUR)
    wanted = {
        "comment_count_1d": 1,
        "comment_count_30d": 1,
        "channel_subscriber_count": 10,
        "channel_statistics_age_hours": 3.0,
        "video_view_count": 5,
        "video_statistics_age_hours": 2.0,
        "url_share_7d": 0.0,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert read(served, now, channel="unknown", video="unknown") == dict.fromkeys(row)


def test_it_follows_new_rows_late_rows_and_the_hours_that_pass(served: Lake) -> None:
    add_batch(served, comments=[{"comment_id": "a"}])
    refresh(served, START + HOUR)
    assert refresh(served, START + HOUR) is None
    add_batch(served, comments=[{"comment_id": "late", "published_at": START - 20 * HOUR}])
    assert refresh(served, START + 2 * HOUR) == START - 20 * HOUR
    assert read(served, START)["comment_count_1d"] == 2
    assert refresh(served, START + 5 * HOUR) == START + 4 * HOUR
    assert read(served, START)["comment_count_1d"] == 1
    with read_lake(served) as connection:
        assert read_online_state(connection) == OnlineState(2, START + 5 * HOUR)


def test_a_filling_that_never_ended_is_done_by_the_next(served: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    add_batch(served, comments=[{"comment_id": "a"}])

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("feature_repo.online.append_run", die)
        with pytest.raises(KeyboardInterrupt):
            refresh(served, START + HOUR)
    assert refresh(served, START + HOUR) == START


def test_a_clock_that_was_set_back_does_not_set_the_store_back(served: Lake) -> None:
    add_batch(served, comments=[{"comment_id": "a"}])
    refresh(served, START + 30 * HOUR)
    add_batch(served, comments=[{"comment_id": "b", "published_at": START + 29 * HOUR}])
    refresh(served, START + 10 * HOUR)
    assert read(served, START)["comment_count_1d"] == 1


def test_after_a_batch_was_taken_back_all_is_filled_anew(lake: Lake) -> None:
    apply_definitions(lake)
    add_batch(lake, comments=[{"comment_id": "a"}])
    add_batch(lake, comments=[{"comment_id": "wrong"}])
    refresh(lake, START + HOUR)
    assert read(lake, START)["comment_count_1d"] == 2

    def rebuild(connection: duckdb.DuckDBPyConnection, receipt: RevertReceipt) -> None:
        rebuild_features(connection, channel_ids=receipt.channel_ids, comment_ids=receipt.comment_ids)

    revert_batch(lake, "b2", run_id="revert", now=START, within=rebuild)
    assert refresh(lake, START + 2 * HOUR) == START
    assert read(lake, START)["comment_count_1d"] == 1
