from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, split_table
from training.evaluate import choose_judged_rows
from training.slices import mark_slices
from training.spec import TEXT_SLICES, ModelSpec

BuildTable = Callable[..., pa.Table]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sliced(spec: ModelSpec) -> ModelSpec:
    return replace(spec, slices=TEXT_SLICES)


def build_set(build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, **columns: pa.Array) -> TrainingSet:
    table = build_table().sort_by("comment_id")
    for name, values in columns.items():
        table = table.append_column(name, values)
    return split_table(table, spec, service, data_version=1, as_of=NOW)


def test_a_slice_whose_column_is_not_there_is_none(training_set: TrainingSet, sliced: ModelSpec) -> None:
    assert set(mark_slices(training_set, sliced)) == {"short text", "long text", "reply"}


def test_a_channel_is_seen_if_rows_of_it_are_learned_from(
    build_table: BuildTable, sliced: ModelSpec, service: ServiceDefinition, training_set: TrainingSet
) -> None:
    """Held-out rows get a channel of their own, one of the other side, or none, in turn."""
    kinds = np.array(["its own", "of the others", None], dtype=object)[np.arange(900) % 3]
    channels = np.where(training_set.is_held_out, kinds, "of the others")
    known = build_set(build_table, sliced, service, channel_id=pa.array(channels.tolist(), pa.string()))
    rows = choose_judged_rows(known, sliced)
    said = channels[rows.positions]
    assert rows.slices["new channel"].tolist() == [one == "its own" for one in said]
    assert rows.slices["seen channel"].tolist() == [one == "of the others" for one in said]


def test_out_of_fold_a_channel_is_seen_if_another_group_is_of_it(
    build_table: BuildTable, sliced: ModelSpec, service: ServiceDefinition, training_set: TrainingSet
) -> None:
    """Every video is a channel but for two, which share one."""
    spec = replace(sliced, is_cross_group=True)
    shared = {"group v1": "both", "group v2": "both"}
    channels = [shared.get(group, group) for group in training_set.groups]
    known = build_set(build_table, spec, service, channel_id=pa.array(channels, pa.string()))
    slices = mark_slices(known, spec)
    assert slices["seen channel"].tolist() == [channel == "both" for channel in channels]
    assert slices["new channel"].tolist() == [channel != "both" for channel in channels]


def test_other_languages_in_latin_script_are_told_by_the_words_they_lack(
    build_table: BuildTable, sliced: ModelSpec, service: ServiceDefinition
) -> None:
    cases = [  # non_latin_share, word_count, english_word_share, is it
        (0.0, 8, 0.0, True),
        (0.4, 30, 0.0, True),
        (0.0, 7, 0.0, False),  # too short to tell
        (0.0, 8, 0.1, False),
        (0.6, 8, 0.0, False),
        (None, 8, 0.0, False),
    ]
    columns = {
        name: pa.array([cases[row % len(cases)][number] for row in range(900)])
        for number, name in enumerate(("non_latin_share", "word_count", "english_word_share"))
    }
    known = build_set(build_table, sliced, service, **columns)
    expected = [cases[row % len(cases)][3] for row in range(900)]
    assert mark_slices(known, sliced)["Latin but not English"].tolist() == expected


def test_channels_by_size_leave_out_those_of_unknown_size(
    build_table: BuildTable, sliced: ModelSpec, service: ServiceDefinition
) -> None:
    subscribers = pa.array([[None, 9_999, 10_000, 1_000_000][row % 4] for row in range(900)], pa.int64())
    comments = pa.array([[0, 99, 100, 1_000][row % 4] for row in range(900)], pa.int64())
    known = build_set(build_table, sliced, service, channel_subscriber_count=subscribers, comment_count_30d=comments)
    slices = mark_slices(known, sliced)
    found = {name: slices[name][:4].tolist() for name in ("small channel", "large channel", "quiet channel")}
    assert found == {
        "small channel": [False, True, False, False],
        "large channel": [False, False, False, True],
        "quiet channel": [False, True, False, False],
    }
    assert slices["busy channel"][:4].tolist() == [False, False, False, True]
