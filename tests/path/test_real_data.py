"""The road of the first issue on real comments, row by row; switched on by SCORELAKE_TEST_DATA."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.commands import run_command

DATA = Path(os.environ.get("SCORELAKE_TEST_DATA", "/nowhere"))

Command = Callable[..., Any]

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not DATA.is_dir(), reason="SCORELAKE_TEST_DATA names no folder of real comments"),
]


@pytest.fixture
def scorelake(prefect_environment: dict[str, str], tmp_path: Path) -> Command:
    """Run a command on one new lake; returns its JSON."""
    environment = {**prefect_environment, "SCORELAKE_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> Any:
        as_json = ["--format", "json"] if arguments[0] == "sql" else ["--json"]
        done = run_command(*arguments, *as_json, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    return run


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_sentiment_and_spam_share_one_lake(scorelake: Command) -> None:
    comments_csv = DATA / "youtube_sentiment" / "comments.csv"
    spam_csvs = sorted((DATA / "youtube_spam").glob("*.csv"))
    comments, spam = read_rows(comments_csv), [row for path in spam_csvs for row in read_rows(path)]

    videos = scorelake(
        "ingest",
        "videos",
        str(DATA / "youtube_sentiment" / "videos-stats.csv"),
        "--mapping",
        "youtube-statistics",
    )
    assert (videos["rows_read"], videos["rows_accepted"], videos["rows_conflicting"]) == (1_881, 1_869, 12)

    received = scorelake("ingest", "comments", str(comments_csv), "--mapping", "youtube-statistics")
    assert received["rows_read"] == len(comments) == 14_691
    assert received["rows_accepted"] + received["rows_quarantined_total"] + received["rows_known"] == 14_691
    again = scorelake("ingest", "comments", str(comments_csv), "--mapping", "youtube-statistics")
    assert (again["rows_accepted"], again["rows_known"]) == (0, received["rows_accepted"])

    received_spam = scorelake("ingest", "comments", *map(str, spam_csvs), "--mapping", "uci-youtube-spam")
    assert received_spam["rows_read"] == len(spam)
    assert received_spam["rows_accepted"] == len({(row["COMMENT_ID"], row["CONTENT"]) for row in spam})

    scorelake("materialize")
    for model in ("sentiment", "spam"):
        trained = scorelake("train", model)
        assert trained["champion_after"] == trained["version"], trained["verdict"]
        scored = scorelake("score", model)
        assert scored["rows_scored"] == received["rows_accepted"] + received_spam["rows_accepted"]
        assert scorelake("score", model)["rows_owed"] == 0

    check_each_text_is_scored_once(scorelake)
    check_same_texts_stay_several(scorelake, comments)
    check_features_are_found_again(scorelake)


def check_features_are_found_again(scorelake: Command) -> None:
    """As used, in the lake, from the text and online: the skew check ends with exit code 0."""
    found = scorelake("skew", "sentiment", "--rows", "100")
    assert {check["path"] for check in found["checks"]} == {"lake", "text", "online"}


def check_each_text_is_scored_once(scorelake: Command) -> None:
    for model in ("sentiment", "spam"):
        rows = scorelake(
            "sql",
            "select count(*) as texts, count(s.comment_id) as scored, "
            "count(distinct (s.comment_id, s.text_id)) as once "
            f"from raw.comments as c left join scores.{model} as s using (comment_id, text_id)",
        )
        assert len({*rows[0].values()}) == 1, rows


def check_same_texts_stay_several(scorelake: Command, comments: list[dict[str, str]]) -> None:
    rows = scorelake(
        "sql",
        "select count(*) as comments, count(distinct text_id) as texts from scores.sentiment_current "
        "where comment_id like 'ys-%'",
    )
    assert rows == [{"comments": len(comments), "texts": len({row["Comment"] for row in comments})}]
