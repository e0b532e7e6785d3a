from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from feature_repo.retrieval import ServiceDefinition
from training.ablation import AblationPoint, measure_ablation
from training.dataset import split_table
from training.spec import ModelSpec, Recipe
from training.trial import run_trial

BuildTable = Callable[..., pa.Table]
Ablate = Callable[..., dict[str, AblationPoint]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHANNEL = "channel_subscriber_count"
PREFIXES = "prefix_ids_v1"


@pytest.fixture(scope="module")
def ablate(service: ServiceDefinition, spec: ModelSpec) -> Ablate:
    """The ablation of a model on a table, by what was left out."""

    def measure(table: pa.Table, **changes: Any) -> dict[str, AblationPoint]:
        lists = tuple(name for name in ("token_ids_v1", PREFIXES) if name in table.column_names)
        added = tuple(name for name in (PREFIXES, CHANNEL) if name in table.column_names)
        changed = replace(spec, token_columns=lists, **changes)
        wider = replace(service, features=(*service.features, *added))
        trial = run_trial(split_table(table, changed, wider, data_version=1, as_of=NOW), changed, changed.recipe)
        return {one.left_out: one for one in measure_ablation(trial)}

    return measure


def put(table: pa.Table, name: str, values: Any) -> pa.Table:
    without = table.drop_columns([name]) if name in table.column_names else table
    return without.append_column(name, values)


def tell_classes(table: pa.Table, name: str) -> pa.Table:
    """The table with a column that gives the classes away, though not all."""
    codes = [("negative", "neutral", "positive").index(label) for label in table.column("label").to_pylist()]
    if name == PREFIXES:
        return put(table, name, pa.array([[100 * code] for code in codes], pa.list_(pa.uint32())))
    return put(table, name, pa.array([1_000 * code for code in codes]))


@pytest.mark.parametrize(
    ("column", "group"),
    [
        (PREFIXES, "beginnings of words"),
        ("text_chars", "numbers of the comment"),
        (CHANNEL, "numbers of channel and video"),
    ],
)
def test_the_group_that_tells_the_classes_is_missed_and_no_other(
    build_table: BuildTable, ablate: Ablate, column: str, group: str
) -> None:
    points = ablate(tell_classes(build_table(hint=0.05), column), read_lexicon=None)
    assert {name for name, one in points.items() if one.difference.high < -0.05} == {group}
    assert points[group].macro_f1 < 0.5


def test_a_group_without_a_value_is_left_out(build_table: BuildTable, ablate: Ablate) -> None:
    table = build_table()
    points = ablate(put(table, CHANNEL, pa.nulls(len(table), pa.int64())), read_lexicon=None)
    assert points.keys() == {"numbers of the comment"}


def test_folds_that_would_choose_other_settings_are_compared_with_the_same(
    build_table: BuildTable, ablate: Ablate
) -> None:
    """A column that is the same everywhere is dropped by the pipeline: without it nothing may differ."""
    table = build_table(rows=400, groups=4, hint=0.2)
    recipe = Recipe({"classes__estimator__C": (0.01, 0.1, 1.0, 10.0)})
    points = ablate(put(table, CHANNEL, pa.array([7] * len(table))), is_cross_group=True, recipe=recipe)
    same = points["numbers of channel and video"].difference
    assert (same.value, same.low, same.high) == (0, 0, 0)
