"""The step that brings features up to date: what it does when others work on the lake too, and when it is killed."""

from datetime import timedelta
from pathlib import Path

import pytest

from feature_repo.errors import Unavailable
from feature_repo.features.materialize import (
    MaterializeReceipt,
    Owed,
    materialize_features,
    publish_features,
)
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.revert import revert_batch
from tests.feature_repo.raw_rows import START, add_batch

NOW = START + timedelta(days=100)


def read_runs(lake: Lake) -> list[str]:
    with read_lake(lake) as connection:
        runs = connection.execute("select run_id from ops.runs where kind = 'materialize' order by run_id").fetchall()
    return [run_id for (run_id,) in runs]


def count_files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


def test_the_loser_of_two_materializations_publishes_nothing(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])
    materialize_features(lake, run_id="winner", now=NOW)
    stale = MaterializeReceipt("loser", Owed(0, 1, None, NOW), {"features.comment_features": 1}, 0.0)
    with pytest.raises(Unavailable, match="another materialization finished first; run it again"):
        publish_features(lake, lake.staging / "loser", stale, NOW)
    assert read_runs(lake) == ["winner"]


def test_what_was_computed_from_a_batch_that_was_taken_back_is_not_published(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])
    revert_batch(lake, "b1", run_id="revert", now=NOW)
    stale = MaterializeReceipt("stale", Owed(0, 1, None, NOW), {"features.comment_features": 1}, 0.0)
    with pytest.raises(Unavailable, match="a batch was taken back meanwhile; run it again"):
        publish_features(lake, lake.staging / "stale", stale, NOW)
    assert read_runs(lake) == []


@pytest.mark.parametrize("table", ["features.comment_features", "features.channel_labels"])
def test_after_a_failure_at_any_table_the_next_run_does_the_work(lake: Lake, table: str) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])

    def fail(computed: str) -> None:
        if computed == table:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        materialize_features(lake, run_id="killed", now=NOW, say=fail)
    assert count_files(lake.staging) == 0
    assert materialize_features(lake, run_id="next", now=NOW).rows["features.channel_features"] == 4
    assert read_runs(lake) == ["next"]


def test_each_table_is_told_before_it_is_computed(lake: Lake) -> None:
    add_batch(lake, comments=[{"comment_id": "a"}])
    told: list[str] = []
    receipt = materialize_features(lake, run_id="m", now=NOW, say=told.append)
    assert told == list(receipt.rows)
