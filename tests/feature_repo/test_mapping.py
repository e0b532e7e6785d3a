"""Mappings: what is accepted as one, and what they make of told texts."""

import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from feature_repo.sources.candidates import build_candidates
from feature_repo.sources.kinds import KINDS
from feature_repo.sources.mapping import ColumnSource, SourceMapping, parse_mapping, read_mapping, read_preset_names
from feature_repo.sources.readers import RawRow
from feature_repo.sources.staging import stage_files

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
Read = Callable[..., tuple[Any, list[str]]]


def test_without_a_mapping_every_column_bears_its_name_in_the_lake() -> None:
    columns = read_mapping().read_kind("comments")
    assert list(columns) == list(KINDS["comments"].columns)
    assert [name for name, source in columns.items() if not source.is_optional] == ["comment_id", "text"]
    assert {name: source.column for name, source in columns.items()} == {name: name for name in columns}


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        ("comments", ("comment_id", "text")),
        ("videos", ("video_id", "channel_id")),
        ("channels", ("channel_id",)),
        ("labels", ("comment_id", "label")),
    ],
)
def test_required_columns_follow_from_the_contracts(kind: str, required: tuple[str, ...]) -> None:
    assert KINDS[kind].required_columns == required


def test_presets_are_read_by_name() -> None:
    assert read_preset_names() == ("uci-youtube-spam", "youtube-statistics", "youtube-trending")
    for name in read_preset_names():
        assert read_mapping(name).name == name


def test_a_mapping_survives_the_ledger() -> None:
    for name in (None, *read_preset_names()):
        mapping = read_mapping(name)
        assert parse_mapping(mapping.model_dump(mode="json", exclude_defaults=True), "ledger") == mapping


def test_a_file_of_ones_own_is_named_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text('[videos]\nvideo_id = "v"\nchannel_id = { hash_of = ["a", "b"] }\n')
    mapping = read_mapping(str(path))
    assert mapping.name == "ours"
    assert mapping.read_kind("videos") == {
        "video_id": ColumnSource(column="v"),
        "channel_id": ColumnSource(hash_of=("a", "b")),
    }


def test_a_mapping_without_the_kind_says_what_it_has() -> None:
    with pytest.raises(BadData, match="the mapping uci-youtube-spam tells nothing of videos, only of comments"):
        read_mapping("uci-youtube-spam").read_kind("videos")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[comments", "cannot read the mapping .*ours.toml: Expected ']'"),
        ("[comment]\nid = 'a'", "ours.toml is not a mapping: comment: Extra inputs are not permitted"),
        ("[videos]\nvideo_id = 'a'", "videos.channel_id: not mapped, but no row is good without it"),
        ("[channels]\nchannel_id = 'a'\nsubs = 'b'", "channels.subs: no such column of the lake; channels have"),
        ("[channels]\nchannel_id = { column = 'a', colum = 'b' }", "channels.channel_id.colum: Extra inputs"),
        ("[channels]\nchannel_id = { prefix = 'a' }", "channels.channel_id: .*expected exactly one of column, hash_of"),
        ("[channels]\nchannel_id = { column = 'a', constant = 'b' }", "expected exactly one of column"),
        ("[channels]\nchannel_id = 7", "channels.channel_id: Input should be a valid dictionary"),
        ("[channels]\nchannel_id = { constant = 7 }", "channels.channel_id.constant: Input should be a valid string"),
        (
            "[channels]\nchannel_id = 'a'\nobserved_at = { column = 'b', zone = 'Mars/Olympus' }",
            "channels.observed_at: .*expected an IANA zone such as Europe/Berlin, found 'Mars/Olympus'",
        ),
        ("[channels]\nchannel_id = 'a'\nobserved_at = { column = 'b', zone = '../etc' }", "expected an IANA zone"),
        (
            "[channels]\nchannel_id = { column = 'a', zone = 'UTC' }",
            "channels.channel_id: formats and zone are for times",
        ),
        (
            "[channels]\nchannel_id = 'a'\nview_count = { column = 'b', values = { few = '1' } }",
            "channels.view_count: values are for texts, this is a bigint",
        ),
        (
            "[channels]\nchannel_id = 'a'\nobserved_at = { column = 'b', formats = [] }",
            "observed_at.formats: .*at least 1",
        ),
    ],
)
def test_what_is_no_mapping_is_refused_at_its_place(tmp_path: Path, toml: str, message: str) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(toml)
    with pytest.raises(BadData, match=message):
        read_mapping(str(path))


@pytest.mark.parametrize("name", ["nonsense", "missing.toml", "../presets/youtube-trending"])
def test_an_unknown_name_lists_the_presets(name: str) -> None:
    with pytest.raises(BadData, match="expected a TOML file or one of uci-youtube-spam, youtube-statistics"):
        read_mapping(name)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads one column of one channel or video with a source of the test's making: its value, its reasons."""

    def read_column(name: str, told: str | None, kind: str = "videos", **source: Any) -> tuple[Any, list[str]]:
        columns = {key: ColumnSource(constant="x") for key in KINDS[kind].required_columns}
        columns[name] = ColumnSource.model_validate({"column": "told"} | source)
        row = RawRow(1, ("told", "more"), (told, "more"))
        stage_files([("Some File.v1.csv", [row])], tmp_path)
        lake = Lake(tmp_path, memory_limit="500MB")
        candidates = build_candidates(lake, tmp_path, kind, columns=columns, now=NOW, task=None)
        found = duckdb.execute(
            f"set TimeZone = 'UTC'; select \"{name}\", reasons from read_parquet(?)", [candidates.pattern]
        )
        return found.fetchall()[0]

    return read_column


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("19", 19, []),
        (" 19 ", 19, []),
        ("+19", 19, []),
        ("19.0", 19, []),
        ("19.", 19, []),
        ("0", 0, []),
        ("9223372036854775807", 2**63 - 1, []),
        ("", None, []),
        (" \t", None, []),
        (None, None, []),
        ("-3", -3, ["like_count_negative"]),
        ("19.5", None, ["like_count_malformed"]),
        ("1e3", None, ["like_count_malformed"]),
        ("0x10", None, ["like_count_malformed"]),
        ("1_000", None, ["like_count_malformed"]),
        ("1,000", None, ["like_count_malformed"]),
        ("٣", None, ["like_count_malformed"]),
        ("many", None, ["like_count_malformed"]),
        ("9223372036854775808", None, ["like_count_malformed"]),
    ],
)
def test_whole_numbers(read: Read, told: str | None, value: int | None, reasons: list[str]) -> None:
    assert read("like_count", told) == (value, reasons)


@pytest.mark.parametrize(("told", "value"), [("-1", None), (" -1.0 ", None), ("hidden", None), ("1", 1)])
def test_null_values_mean_not_told(read: Read, told: str, value: int | None) -> None:
    assert read("like_count", told, null_values=["-1", "-1.0", "hidden"]) == (value, [])


def _utc(year: int, month: int, day: int, *time: int) -> dt.datetime:
    hour, minute, second, microsecond = (*time, 0, 0, 0, 0)[:4]
    return dt.datetime(year, month, day, hour, minute, second, microsecond, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("2024-03-01T12:30:00Z", _utc(2024, 3, 1, 12, 30), []),
        ("2024-03-01 12:30:00+00:00", _utc(2024, 3, 1, 12, 30), []),
        ("2024-03-01T12:30:00.25+0530", _utc(2024, 3, 1, 7, 0, 0, 250_000), []),
        ("2024-03-01T12:30:00.123456789Z", _utc(2024, 3, 1, 12, 30, 0, 123_456), []),
        ("2024-02-29T23:59:59-08", _utc(2024, 3, 1, 7, 59, 59), []),
        ("", None, []),
        (None, None, []),
        ("2024-03-01T12:30:00", None, ["published_at_without_zone"]),
        ("2024-03-01", None, ["published_at_without_zone"]),
        ("2024-03-01T12:30:00+99:00", None, ["published_at_malformed"]),
        ("2024-02-30T12:30:00Z", None, ["published_at_malformed"]),
        ("2023-02-29", None, ["published_at_malformed"]),
        ("2024-13-01T12:30:00Z", None, ["published_at_malformed"]),
        ("2024-03-01T25:00:00Z", None, ["published_at_malformed"]),
        ("2024-03-01T12:60:00Z", None, ["published_at_malformed"]),
        ("0000-00-00", None, ["published_at_malformed"]),
        ("1709296200", None, ["published_at_malformed"]),
        ("01.03.2024", None, ["published_at_malformed"]),
        ("yesterday", None, ["published_at_malformed"]),
        ("infinity", None, ["published_at_malformed"]),
        ("epoch", None, ["published_at_malformed"]),
        ("2024-03-01 12:30:00 Europe/Berlin", None, ["published_at_malformed"]),
        ("2004-12-31T23:59:59Z", _utc(2004, 12, 31, 23, 59, 59), ["published_at_out_of_range"]),
        ("2026-11-21T12:00:00Z", _utc(2026, 11, 21, 12), []),
        ("2026-11-21T12:00:01Z", _utc(2026, 11, 21, 12, 0, 1), ["published_at_out_of_range"]),
        ("9999-12-31T00:00:00Z", _utc(9999, 12, 31), ["published_at_out_of_range"]),
    ],
)
def test_iso_times(read: Read, told: str | None, value: dt.datetime | None, reasons: list[str]) -> None:
    assert read("published_at", told) == (value, reasons)


@pytest.mark.parametrize(
    ("told", "formats", "zone", "value", "reasons"),
    [
        ("2024-07-01T12:00:00", ["iso"], "Europe/Berlin", _utc(2024, 7, 1, 10), []),
        ("2024-07-01T12:00:00Z", ["iso"], "Europe/Berlin", _utc(2024, 7, 1, 12), []),
        ("2024-07-01", ["iso"], "America/New_York", _utc(2024, 7, 1, 4), []),
        ("01.07.2024", ["iso", "%d.%m.%Y"], "UTC", _utc(2024, 7, 1), []),
        ("2024-07-01", ["%d.%m.%Y", "iso"], "UTC", _utc(2024, 7, 1), []),
        ("7/4/2024 3:05 PM", ["%-m/%-d/%Y %-I:%M %p"], "UTC", _utc(2024, 7, 4, 15, 5), []),
        ("01/07/2024 12:00:00.5", ["%d/%m/%Y %H:%M:%S.%f"], "UTC", _utc(2024, 7, 1, 12, 0, 0, 500_000), []),
        ("01/07/2024 12:00 +0200", ["%d/%m/%Y %H:%M %z"], None, _utc(2024, 7, 1, 10), []),
        ("01.07.2024", ["%d.%m.%Y"], None, None, ["observed_at_without_zone"]),
        ("1.7.2024", ["%d.%m.%Y"], "UTC", None, ["observed_at_malformed"]),
        ("31.06.2024", ["%d.%m.%Y"], "UTC", None, ["observed_at_malformed"]),
        ("2024-07-01", ["%d.%m.%Y"], "UTC", None, ["observed_at_malformed"]),
        ("07/25/2024", ["%d/%m/%Y"], "UTC", None, ["observed_at_malformed"]),
    ],
)
def test_times_of_other_formats_and_zones(
    read: Read, told: str, formats: list[str], zone: str | None, value: dt.datetime | None, reasons: list[str]
) -> None:
    assert read("observed_at", told, formats=formats, zone=zone) == (value, reasons)


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("13.09", _utc(2017, 9, 13, 23, 59, 59), []),
        ("01.10", _utc(2017, 10, 1, 23, 59, 59), []),
        ("13.1", None, ["observed_at_malformed"]),
        ("1.10", None, ["observed_at_malformed"]),
        ("", None, []),
    ],
)
def test_a_day_that_lost_its_zero_is_not_taken_for_another(
    read: Read, told: str, value: dt.datetime | None, reasons: list[str]
) -> None:
    source = read_mapping("youtube-trending").read_kind("videos")["observed_at"]
    assert read("observed_at", told, **source.model_dump(exclude={"column"})) == (value, reasons)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({}, "told"),
        ({"prefix": "ys-"}, "ys-told"),
        ({"prefix": "a", "suffix": "z"}, "atoldz"),
        ({"column": "more"}, "more"),
        ({"column": None, "constant": "sentiment"}, "sentiment"),
        ({"column": None, "file_stem": True}, "Some File.v1"),
        ({"column": None, "hash_of": ["told", "more"]}, hashlib.sha256(b"4:told,4:more").hexdigest()[:32]),
        (
            {"column": None, "hash_of": ["told", "none"], "prefix": "h-"},
            "h-" + hashlib.sha256(b"4:told,-").hexdigest()[:32],
        ),
    ],
)
def test_ids_are_built_the_same_way_every_time(read: Read, source: dict[str, Any], value: str) -> None:
    assert read("channel_id", "told", **source) == (value, [])


def test_an_id_of_nothing_is_none(read: Read) -> None:
    assert read("channel_id", None, column=None, hash_of=["told", "none"]) == (None, ["channel_id_missing"])
    assert read("channel_id", " ", prefix="ys-") == (None, ["channel_id_missing"])


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        (" UC-1 ", "UC-1", []),
        ("'; drop table raw.videos; --", "'; drop table raw.videos; --", []),
        ('"quoted" \\ %s {x} $1 ?', '"quoted" \\ %s {x} $1 ?', []),
        ("два слова", "два слова", []),
        ("x" * 128, "x" * 128, []),
        ("x" * 129, "x" * 129, ["channel_id_malformed"]),
        ("tab\there", "tab\there", ["channel_id_malformed"]),
        ("\ufeff", None, ["channel_id_missing"]),
    ],
)
def test_ids(read: Read, told: str, value: str | None, reasons: list[str]) -> None:
    assert read("channel_id", told) == (value, reasons)


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("1", "spam", []),
        (" 0 ", "ham", []),
        ("2", "2", ["label_unknown"]),
        ("", None, ["label_missing"]),
        (None, None, ["label_missing"]),
    ],
)
def test_values_stand_for_others(read: Read, told: str | None, value: str | None, reasons: list[str]) -> None:
    found = read("label", told, "labels", values={"1": "spam", "0": "ham"})
    assert found == (value, ["task_missing", *reasons] if value is None else [*reasons, "task_missing"])


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("true", True, []),
        ("False", False, []),
        ("1", True, []),
        ("", None, []),
        ("maybe", None, ["is_observed_at_imputed_malformed"]),
    ],
)
def test_booleans(read: Read, told: str, value: object, reasons: list[str]) -> None:
    assert read("is_observed_at_imputed", told) == (value, reasons)


@pytest.mark.parametrize(
    ("told", "value", "reasons"),
    [
        ("  as seen \ufeff", "  as seen \ufeff", []),
        ("&amp; <br />", "&amp; <br />", []),
        ("x" * 10_000, "x" * 10_000, []),
        ("x" * 10_001, "x" * 10_001, ["text_length"]),
        ("", None, ["text_missing"]),
        (" \n\u00a0\u3000\u200b\ufeff", None, ["text_missing"]),
        (None, None, ["text_missing"]),
    ],
)
def test_texts_stay_as_seen_but_blank_ones(read: Read, told: str | None, value: str | None, reasons: list[str]) -> None:
    assert read("text", told, "comments") == (value, reasons)


def test_a_column_name_is_never_sql(read: Read) -> None:
    assert read("title", "t", column="told'] from x; drop table y; --") == (None, [])


def test_a_mapping_tells_its_kinds_apart() -> None:
    mapping = SourceMapping.model_validate({"channels": {"channel_id": "a"}})
    assert mapping.read_kind("channels")["channel_id"].read_columns == ("a",)
    with pytest.raises(BadData, match="tells nothing of labels, only of channels"):
        mapping.read_kind("labels")
