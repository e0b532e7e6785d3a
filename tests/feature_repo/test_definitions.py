"""What Feast is told: generated from the contracts, and the same from the command line and from code."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from feast import FeatureView
from feast.repo_operations import get_repo_files
from feast.types import Array, Bool, FeastType, Float64, Int64, String
from pandera.pandas import DataFrameSchema

from feature_repo import definitions
from feature_repo.contracts import read_sql_types
from feature_repo.lake import Lake
from feature_repo.retrieval import apply_definitions, open_store
from feature_repo.tables.features import (
    CHANNEL_FEATURES,
    CHANNEL_LABELS,
    CHANNEL_STATISTICS,
    COMMENT_FEATURES,
    VIDEO_STATISTICS,
)

ROOT = Path(__file__).parents[2]
REPO = ROOT / "feature_repo"
FEAST = Path(sys.executable).with_name("feast")
# Names every attempt to reach another machine on standard error, where a library could swallow a refusal.
WATCH = """
import os, sys
def report(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"network: {event} {arguments[-1]}\\n".encode())
sys.addaudithook(report)
"""
TYPES: dict[str, FeastType] = {
    "varchar": String,
    "bigint": Int64,
    "double": Float64,
    "boolean": Bool,
    "uinteger[]": Array(Int64),
}


def run_feast(
    *arguments: str, home: Path | None, scratch: Path, folder: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    (scratch / "sitecustomize.py").write_text(WATCH)
    environment = {name: value for name, value in os.environ.items() if name != "SCORELAKE_HOME"}
    environment |= {"PYTHONPATH": str(scratch)} | ({"SCORELAKE_HOME": str(home)} if home else {})
    return subprocess.run(
        [str(FEAST), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("view", "table", "keys"),
    [
        (definitions.comment_features, COMMENT_FEATURES, ["comment_id", "text_id"]),
        (definitions.channel_features, CHANNEL_FEATURES, ["channel_id"]),
        (definitions.channel_labels, CHANNEL_LABELS, ["channel_id"]),
    ],
    ids=["comment", "channel", "labels"],
)
def test_a_view_has_the_columns_of_its_contract(view: FeatureView, table: DataFrameSchema, keys: list[str]) -> None:
    placing = {"event_timestamp", "created_timestamp", "ingest_seq", "newest_leaves_at"}
    expected = [
        (name, TYPES[sql_type], table.columns[name].description)
        for name, sql_type in read_sql_types(table).items()
        if name not in placing
    ]
    fields = [*view.entity_columns, *view.features]
    assert [(field.name, field.dtype, field.description) for field in fields] == expected
    assert [field.name for field in view.entity_columns] == keys
    is_online = table is not COMMENT_FEATURES
    assert (view.description, view.owner, view.online) == (table.description, "scorelake", is_online)


@pytest.mark.parametrize(
    ("view", "table", "key"),
    [
        (definitions.channel_statistics, CHANNEL_STATISTICS, "channel"),
        (definitions.video_statistics, VIDEO_STATISTICS, "video"),
    ],
    ids=["channel", "video"],
)
def test_statistics_come_with_their_age(view: FeatureView, table: DataFrameSchema, key: str) -> None:
    names = [feature.name for feature in view.features]
    assert names[:-1] == [name for name in table.columns if name.startswith(f"{key}_") and name != f"{key}_id"]
    assert (names[-1], view.features[-1].dtype) == (f"{key}_statistics_age_hours", Float64)


def test_every_feature_tells_its_unit() -> None:
    views = (value for value in vars(definitions).values() if isinstance(value, FeatureView))
    units = {feature.name: feature.tags["unit"] for view in views for feature in view.features}
    examples = {
        "text_chars": "characters",
        "comment_count_7d": "count",
        "negative_label_share": "share, 0 to 1",
        "video_statistics_age_hours": "hours",
        "is_reply": "yes or no",
        "token_ids_v1": "hashed tokens",
    }
    assert {name: units[name] for name in examples} == examples


def _features(service: str) -> dict[str, list[str]]:
    projections = getattr(definitions, service).feature_view_projections
    return {one.name: [feature.name for feature in one.features] for one in projections}


def test_sentiment_sees_all_features_but_labels_of_another_task() -> None:
    views = ("comment_features", "channel_features", "channel_statistics", "video_statistics")
    assert _features("sentiment_v1") == {
        **{view: [feature.name for feature in getattr(definitions, view).features] for view in views},
        "channel_labels": ["sentiment_label_count", "negative_label_share", "positive_label_share"],
    }


def test_spam_sees_nothing_that_depends_on_an_instant() -> None:
    everything = [feature.name for feature in definitions.comment_features.features]
    seen = _features("spam_v1")
    assert list(seen) == ["comment_features"]
    hidden = [name for name in everything if name not in seen["comment_features"]]
    assert hidden == ["first_like_count", "earlier_reply_count_30d"]
    assert "token_ids_v1" in seen["comment_features"]


def test_feast_imports_the_definitions_and_nothing_else() -> None:
    assert get_repo_files(REPO) == [REPO / "definitions.py"], "name the new module in feature_repo/.feastignore"


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_times(inner) for name, inner in value.items() if name != "meta"}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _read_registry(lake: Lake) -> Any:
    store = open_store(lake)
    return _without_times(store.registry.to_dict(store.project))


def test_the_command_line_and_the_program_register_the_same(lake: Lake, tmp_path: Path) -> None:
    applied = run_feast("-c", "feature_repo", "apply", home=lake.home, scratch=tmp_path)
    assert applied.returncode == 0, applied.stderr
    assert "network:" not in applied.stderr
    by_command_line = _read_registry(lake)
    assert [service["spec"]["name"] for service in by_command_line["featureServices"]] == ["sentiment_v1", "spam_v1"]

    again = run_feast("apply", home=lake.home, scratch=tmp_path, folder=REPO)
    assert again.returncode == 0, again.stderr
    assert _read_registry(lake) == by_command_line

    (lake.home / "feast" / "registry.db").unlink()
    apply_definitions(lake)
    assert _read_registry(lake) == by_command_line


def test_a_bare_apply_without_a_home_makes_nothing(tmp_path: Path) -> None:
    refused = run_feast("-c", "feature_repo", "apply", home=None, scratch=tmp_path)
    assert refused.returncode != 0
    last = refused.stderr.strip().splitlines()[-1]
    assert "BadData: SCORELAKE_HOME must be set to an absolute path, found '${SCORELAKE_HOME}'; set it, or" in last
    made = {folder / name for folder in (ROOT, REPO) for name in ("${SCORELAKE_HOME}", "feast", "data")}
    assert not [path for path in made if path.exists()]
