"""The spine as literal tables, and the way from a service to features, on a real lake and registry."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, ValueType

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, quote_name, read_lake, write_lake
from feature_repo.online import materialize_online
from feature_repo.retrieval import (
    apply_definitions,
    build_spine,
    compile_features,
    describe_service,
    open_store,
    read_features,
)
from feature_repo.tables.features import CHANNEL_FEATURES, COMMENT_FEATURES
from feature_repo.tables.raw import COMMENTS, VIDEOS

ROOT = Path(__file__).parents[2]


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{clock}+00:00")


def append(lake: Lake, table: str, rows: Iterable[dict[str, Any]]) -> None:
    with write_lake(lake, purpose="a test") as connection:
        for row in rows:
            columns = ", ".join(map(quote_name, row))
            marks = ", ".join("?" for _ in row)
            connection.execute(f"insert into {quote_name(table)} ({columns}) values ({marks})", [*row.values()])


BATCH = {"source": "test", "batch_id": "b", "is_observed_at_imputed": False}


def comment(comment_id: str, **overrides: Any) -> dict[str, Any]:
    seen = {"text_id": "t1", "text": "hello", "observed_at": at("10:00"), "ingest_seq": 1}
    return {"comment_id": comment_id} | seen | BATCH | overrides


def video(video_id: str, channel_id: str, **overrides: Any) -> dict[str, Any]:
    seen = {"video_id": video_id, "channel_id": channel_id, "observed_at": at("09:00"), "ingest_seq": 1}
    return seen | BATCH | overrides


def comment_features(comment_id: str, **overrides: Any) -> dict[str, Any]:
    zeros = {name: 0 for name, column in COMMENT_FEATURES.columns.items() if "count" in name or "share" in name}
    other = {
        "text_id": "t1",
        "text_chars": 5,
        "mean_word_chars": 5.0,
        "is_reply": False,
        "token_ids_v1": [7, 1_048_575],
    }
    times = {"event_timestamp": at("10:00"), "created_timestamp": at("10:00"), "ingest_seq": 1}
    return {"comment_id": comment_id} | zeros | other | times | overrides


def channel_features(channel_id: str, clock: str, count: int, **overrides: Any) -> dict[str, Any]:
    zeros = {name: 0 for name, column in CHANNEL_FEATURES.columns.items() if "count" in name or "share" in name}
    times = {"event_timestamp": at(clock), "created_timestamp": at(clock), "ingest_seq": 1}
    return {"channel_id": channel_id} | zeros | times | {"comment_count_1d": count} | overrides


def read_spine(lake: Lake, columns: str, *, data_version: int, above: int = 0) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        spine = build_spine(data_version=data_version, above=above)
        return connection.execute(f"select {columns} from ({spine})").fetchall()


def test_the_spine_is_one_row_per_text_of_a_comment(lake: Lake) -> None:
    append(
        lake,
        str(COMMENTS.name),
        [
            comment("edited", text_id="t2", observed_at=at("12:00"), ingest_seq=2),
            comment("edited", video_id="v", published_at=at("08:00")),
            comment("bare"),
        ],
    )
    columns = "comment_id, text_id, video_id, published_at, event_timestamp, ingest_seq"
    assert read_spine(lake, columns, data_version=2) == [
        ("bare", "t1", None, None, at("10:00"), 1),
        ("edited", "t1", "v", at("08:00"), at("10:00"), 1),
        ("edited", "t2", None, None, at("12:00"), 2),
    ]


@pytest.mark.parametrize(
    ("data_version", "above", "expected"),
    [
        (0, 0, []),
        (1, 0, ["one"]),
        (3, 0, ["one", "two", "three"]),
        (3, 1, ["two", "three"]),
        (3, 3, []),
        (9, 2, ["three"]),
    ],
)
def test_the_spine_holds_the_batches_above_one_and_up_to_another(
    lake: Lake, data_version: int, above: int, expected: list[str]
) -> None:
    append(lake, str(COMMENTS.name), [comment(name, ingest_seq=n) for n, name in enumerate(["one", "two", "three"], 1)])
    assert [row[0] for row in read_spine(lake, "comment_id", data_version=data_version, above=above)] == expected


@pytest.mark.parametrize(
    ("videos", "data_version", "expected"),
    [
        ([], 1, ("told", 1)),  # no video tells: the comment's own
        ([video("v", "of video")], 1, ("of video", 1)),
        ([video("other", "of video")], 1, ("told", 1)),
        ([video("v", "late", ingest_seq=2)], 1, ("told", 1)),  # a video that arrived after this data version
        ([video("v", "late", ingest_seq=2)], 2, ("late", 2)),
        ([video("v", "second", observed_at=at("09:30")), video("v", "first")], 1, ("first", 1)),
        ([video("v", "second", ingest_seq=2), video("v", "first")], 2, ("first", 1)),  # the earlier batch
    ],
)
def test_the_channel_of_a_comment_is_that_of_its_video_as_first_observed(
    lake: Lake, videos: list[dict[str, Any]], data_version: int, expected: tuple[str, int]
) -> None:
    append(lake, str(VIDEOS.name), videos)
    append(lake, str(COMMENTS.name), [comment("c", video_id="v", channel_id="told")])
    assert read_spine(lake, "channel_id, resolved_seq", data_version=data_version) == [expected]


def test_a_spine_takes_numbers_only() -> None:
    with pytest.raises(ValueError, match="Unknown format code 'd'"):
        build_spine(data_version="1; drop table raw.comments")  # type: ignore[arg-type]  # what must not pass


@pytest.fixture(scope="module")
def filled(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("retrieval") / "home"))
    append(
        lake,
        str(COMMENTS.name),
        [
            comment("known", channel_id="ch"),
            comment("late", channel_id="ch", observed_at=at("12:00"), ingest_seq=2),
            comment("unknown", text_id="t9", channel_id="elsewhere"),
        ],
    )
    append(lake, str(COMMENT_FEATURES.name), [comment_features("known", word_count=1, first_like_count=3)])
    append(
        lake,
        str(COMMENT_FEATURES.name),
        [comment_features("late", event_timestamp=at("12:00"), created_timestamp=at("12:00"), ingest_seq=2)],
    )
    append(
        lake,
        str(CHANNEL_FEATURES.name),
        [
            channel_features("ch", "09:00", 4),
            channel_features("ch", "09:00", 5, created_timestamp=at("11:00"), ingest_seq=2),
            channel_features("ch", "10:00", 6, event_timestamp=at("10:00") + timedelta(microseconds=1)),
        ],
    )
    apply_definitions(lake)
    return lake


def test_features_are_those_known_at_the_instant_of_the_comment(filled: Lake) -> None:
    table = read_features(filled, "sentiment_v1", build_spine(data_version=2), data_version=2)
    found = table.select(["comment_id", "word_count", "first_like_count", "token_ids_v1", "comment_count_1d"])
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("known", 1, 3, [7, 1_048_575], 4),  # the channel's next row comes a microsecond later
        ("unknown", None, None, None, None),
        ("late", 0, 0, [7, 1_048_575], 6),
    ]


def test_features_are_those_of_the_data_version(filled: Lake) -> None:
    spine = build_spine(data_version=2)
    table = read_features(filled, "sentiment_v1", f"{spine}\nlimit 3", data_version=1)
    assert table["text_chars"].to_pylist() == [5, None, None]


@pytest.mark.parametrize("service", ["sentiment_v1", "spam_v1"])
def test_the_compiled_query_gives_the_same_without_feast(filled: Lake, service: str) -> None:
    spine = build_spine(data_version=2)
    table = read_features(filled, service, spine, data_version=2)
    with read_lake(filled) as connection:
        query = compile_features(filled, service, spine, data_version=2)
        assert connection.execute(query).to_arrow_table() == table
    with read_lake(filled) as connection:
        spine_columns = connection.sql(spine).columns
    assert table.column_names == [*spine_columns, *describe_service(filled, service).features]


def test_a_service_is_described_by_all_that_decides_a_value(filled: Lake, lake: Lake) -> None:
    found = describe_service(filled, "spam_v1")
    view = found.definition["views"][0]
    assert {name: view[name] for name in ("view", "keys", "ttl_seconds")} == {
        "view": "comment_features",
        "keys": {"comment_id": "comment_id", "text_id": "text_id"},
        "ttl_seconds": 0,
    }
    assert view["source"]["table"] == "features.comment_features"
    assert view["features"][-2] == {"name": "token_ids_v1", "type": "Array(Int64)"}
    assert "first_like_count" not in found.features
    apply_definitions(lake)
    assert describe_service(lake, "spam_v1") == found
    assert describe_service(lake, "sentiment_v1").digest != found.digest


def read_online(lake: Lake, *features: str, **keys: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = (
        open_store(lake).get_online_features(features=[*features], entity_rows=[keys]).to_dict()
    )
    return {name: value for name, value in found.items() if name not in keys}


def test_the_online_store_holds_what_a_spine_at_the_same_instant_is_given(filled: Lake) -> None:
    materialize_online(filled, start_at=at("00:00"), end_at=at("10:00"))
    assert read_online(filled, "channel_features:comment_count_1d", channel_id="ch") == {"comment_count_1d": [4]}
    materialize_online(filled, start_at=at("00:00"), end_at=at("13:00"))
    assert read_online(filled, "channel_features:comment_count_1d", channel_id="ch") == {"comment_count_1d": [6]}


def test_applying_to_a_copy_leaves_the_original_alone_and_keeps_its_windows(filled: Lake, tmp_path: Path) -> None:
    materialize_online(filled, start_at=at("00:00"), end_at=at("13:00"))
    copy = Lake(shutil.copytree(filled.home, tmp_path / "copy"))
    assert apply_definitions(copy) == apply_definitions(copy) == apply_definitions(filled)
    for lake in (filled, copy):
        assert read_online(lake, "channel_features:comment_count_1d", channel_id="ch") == {"comment_count_1d": [6]}
        assert open_store(lake).get_feature_view("channel_features").materialization_intervals[-1] == (
            at("00:00"),
            at("13:00"),
        )


def test_what_is_no_longer_defined_is_deleted_from_the_registry(lake: Lake) -> None:
    names = apply_definitions(lake)
    open_store(lake).apply([Entity(name="playlist", join_keys=["playlist_id"], value_type=ValueType.STRING)])
    assert [entity.name for entity in open_store(lake).list_entities() if entity.name not in names] == ["playlist"]
    assert apply_definitions(lake) == names


def test_a_home_may_have_any_name(seed_home: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(seed_home, tmp_path / "it's #1: ${HOME}"))
    assert "spam_v1" in apply_definitions(lake)
    assert (lake.home / "feast" / "registry.db").exists()


def test_a_second_lake_in_the_same_process_starts_fresh(filled: Lake, lake: Lake) -> None:
    materialize_online(filled, start_at=at("00:00"), end_at=at("13:00"))
    apply_definitions(lake)
    assert open_store(lake).get_feature_view("channel_features").materialization_intervals == []


def test_a_window_that_ends_before_it_starts_is_refused(filled: Lake) -> None:
    with pytest.raises(BadData, match=r"window must end after it starts, found 2026-01-05 12:00.* to 2026-01-05 10:00"):
        materialize_online(filled, start_at=at("12:00"), end_at=at("10:00"))


def test_a_lake_without_a_registry_says_how_to_make_one(lake: Lake) -> None:
    with pytest.raises(Unavailable, match=r"no feature registry at .*registry.db; run `scorelake apply`"):
        read_features(lake, "spam_v1", build_spine(data_version=1), data_version=1)


def test_an_unknown_service_is_answered_with_those_there_are(filled: Lake) -> None:
    with pytest.raises(BadData, match="no feature service 'spam_v9'; there are sentiment_v1, spam_v1"):
        describe_service(filled, "spam_v9")


OFFLINE = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from feature_repo import online, retrieval
from feature_repo.lake import Lake
assert not {"feast", "pandas", "pyarrow"} & set(sys.modules), "slow imports"
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"network: {event} {arguments[-1]}\\n".encode())
sys.addaudithook(refuse)
lake = Lake(Path(sys.argv[1]))
retrieval.apply_definitions(lake)
spine = retrieval.build_spine(data_version=2)
table = retrieval.read_features(lake, "sentiment_v1", spine, data_version=2)
online.materialize_online(lake, start_at=datetime(2026, 1, 5, tzinfo=UTC), end_at=datetime(2026, 1, 6, tzinfo=UTC))
print(table.num_rows)
"""


def test_importing_is_cheap_and_nothing_reaches_for_the_network_or_chatters(filled: Lake) -> None:
    command = [sys.executable, "-c", OFFLINE, str(filled.home)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "3\n"), run.stderr
    assert "network:" not in run.stderr
