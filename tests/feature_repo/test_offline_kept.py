"""What is kept of a retrieval, as Feast expects it of any offline store: saved datasets, validation, online rows.

Which of Feast's universal tests these are is said in `test_offline_universal`.
"""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore
from feast.dqm.errors import ValidationFailed
from feast.dqm.profilers.profiler import Profile, Profiler

from feature_repo.errors import Refused
from feature_repo.lake import Lake
from feature_repo.saved_dataset import SavedDatasetDuckLakeStorage
from tests.feature_repo.probe_store import open_store
from tests.feature_repo.universal_rows import (
    CHANNELS,
    FEATURES,
    MAPPED,
    SPINE,
    START,
    WORLD,
    Row,
    expect,
    look_up,
    show,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize("full", [True, False], ids=["full", "short"])
def test_what_is_persisted_is_what_was_retrieved(universal: FeatureStore, *, full: bool) -> None:
    job = universal.get_historical_features(pd.DataFrame(SPINE), FEATURES, full_feature_names=full)
    storage = SavedDatasetDuckLakeStorage(f"kept_{full}".lower())
    saved = universal.create_saved_dataset(job, "kept", storage, tags={"env": "test"}, allow_overwrite=True)
    assert show(saved.to_arrow()) == expect(full=full)
    again = universal.get_saved_dataset("kept")
    assert again.tags == {"env": "test"}
    pd.testing.assert_frame_equal(again.to_df(), job.to_df())
    with pytest.raises(Refused, match="it stays"):
        universal.create_saved_dataset(job, "kept", storage)


@pytest.mark.parametrize("is_latest", [True, False], ids=["latest", "all"])
def test_online_holds_what_offline_knew_at_the_end_of_the_window(
    universal_lake: Lake, tmp_path: Path, *, is_latest: bool
) -> None:
    store = open_store(Lake(shutil.copytree(universal_lake.home, tmp_path / "home")))
    store.config.materialization_config.pull_latest_features = is_latest
    sought: list[tuple[str, str, list[Row], dict[str, str], str]] = [
        ("channels", "daily_count", CHANNELS, {"channel_id": "channel_id"}, "daily_count"),
        ("world", "num_rides", WORLD, {}, "num_rides"),
        ("mapped", "feature_name", MAPPED, {}, "column_name"),
    ]
    if not is_latest:  # Feast 0.67 then keeps one row per key itself: any row of a view that has no key
        sought = sought[:1]
    start = START
    for end in (START + timedelta(days=3), START + timedelta(days=6)):
        store.materialize(start, end, [view for view, *_ in sought])
        start = end
        asked = [{"channel_id": number} for number in range(5)]
        names = [f"{view}:{name}" for view, name, *_ in sought]
        online = store.get_online_features(names, asked).to_dict()
        for _, name, table, keys, column in sought:
            rows = [row | {"event_timestamp": end} for row in asked]
            found = [look_up(table, row, keys, ttl=timedelta(0), is_cut_off=is_latest) for row in rows]
            assert online[name] == [row.get(column) for row in found]


class CountProfiler(Profiler):  # type: ignore[misc]  # Feast ships no types
    """The smallest profiler: a set must be as long as the one it is compared with."""

    def analyze_dataset(self, dataset: pd.DataFrame) -> "CountProfile":
        return CountProfile(len(dataset))


class CountProfile(Profile):  # type: ignore[misc]  # Feast ships no types
    def __init__(self, expected: int) -> None:
        self.expected = expected

    def validate(self, dataset: pd.DataFrame) -> Any:
        return type("Report", (), {"is_success": len(dataset) == self.expected, "errors": []})()


def test_a_retrieval_is_validated_against_a_saved_dataset(universal: FeatureStore) -> None:
    spine = pd.DataFrame(SPINE)
    job = universal.get_historical_features(spine, FEATURES)
    universal.create_saved_dataset(job, "reference", SavedDatasetDuckLakeStorage("reference"), allow_overwrite=True)
    reference = universal.get_saved_dataset("reference").as_reference("ref", CountProfiler())
    assert len(job.to_df(validation_reference=reference)) == len(SPINE)
    shorter = universal.get_historical_features(spine.head(3), FEATURES)
    with pytest.raises(ValidationFailed):
        shorter.to_df(validation_reference=reference)
