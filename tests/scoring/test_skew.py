"""The skew check: what agrees, and every way in which it can be made to differ."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.online import fill_online
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from scoring.skew import SkewReceipt, check_skew

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


@pytest.fixture(scope="module")
def scored_home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which sentiment has scored, with the online store filled."""
    home = tmp_path_factory.mktemp("scored") / "home"
    shutil.copytree(trained_home, home)
    fill_online(Lake(home), run_id="online", now=NOW)
    options = ScoreOptions(1_000, LocalEngine(1))
    score_owed(Lake(home), ScoreRequest("sentiment"), run_id="score-sentiment-1", now=NOW, options=options)
    return home


@pytest.fixture
def scored(scored_home: Path, tmp_path: Path) -> Lake:
    shutil.copytree(scored_home, tmp_path / "home")
    return Lake(tmp_path / "home")


def check(lake: Lake) -> SkewReceipt:
    return check_skew(lake, "sentiment", run_id="skew-1", now=NOW, rows=60)


def change(lake: Lake, statement: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(statement)


def test_what_was_used_is_found_again_in_every_way(scored: Lake) -> None:
    receipt = check(scored)
    assert receipt.differing == ()
    assert receipt.rows == 60
    compared = {
        path: {one.feature for one in receipt.checks if one.path == path} for path in ("lake", "text", "online")
    }
    assert {"token_ids_v1", "comment_count_7d", "video_statistics_age_hours", "is_reply"} <= compared["lake"]
    assert {"token_ids_v1", "capital_share"} <= compared["text"]
    assert {"comment_count_7d", "channel_statistics_age_hours", "author_count_30d"} <= compared["online"]
    assert all(one.rows_compared for one in receipt.checks)
    with read_lake(scored) as connection:
        kept = connection.execute("select path, feature, rows_differing from monitoring.skew").fetchall()
    assert sorted(kept) == sorted((one.path, one.feature, 0) for one in receipt.checks)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("update features.comment_features set word_count = word_count + 1", {("lake", "word_count")}),
        ("update raw.comments set text = text || '!'", {("text", "exclamation_count"), ("text", "token_ids_v1")}),
        (
            "update features.channel_features set author_count_7d = 99",
            {("lake", "author_count_7d"), ("online", "author_count_7d")},
        ),
    ],
    ids=["features changed", "another text", "windows changed"],
)
def test_what_differs_is_named_with_both_values(scored: Lake, statement: str, found: set[tuple[str, str]]) -> None:
    change(scored, statement)
    receipt = check(scored)
    assert found <= {(one.path, one.feature) for one in receipt.differing}
    example = receipt.differing[0].example
    assert example is not None
    assert example["used"] != example["found"]
    with read_lake(scored) as connection:
        outcome = connection.execute("select outcome, details from ops.runs where run_id = 'skew-1'").fetchall()
    assert outcome[0][0] == "refused"
    assert json.loads(outcome[0][1])["differing"]


def test_the_log_holds_no_tokens(scored: Lake) -> None:
    with read_lake(scored) as connection:
        [(features,)] = connection.execute("select features from monitoring.feature_log limit 1").fetchall()
    assert json.loads(features)["token_ids_v1"].startswith("sha256:")


def test_without_logged_features_there_is_nothing_to_compare(scored: Lake) -> None:
    with pytest.raises(BadData, match="no features of spam were logged yet; run `scorelake score spam` first"):
        check_skew(scored, "spam", run_id="skew-2", now=NOW)
