"""The road of the first issue on real comments, row by row; switched on by SCORELAKE_TEST_DATA."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.server import serve_api

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SCORELAKE_TEST_DATA", "/nowhere"))

pytestmark = [
    pytest.mark.path,
    pytest.mark.skipif(not DATA.is_dir(), reason="SCORELAKE_TEST_DATA names no folder of real comments"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new lake, and one Prefect server for all the commands of the road."""
    home = tmp_path_factory.mktemp("real") / "home"
    before = dict(os.environ)
    try:
        with serve_api(home) as server:
            if server is not None:
                server.wait()
            yield home
    finally:
        os.environ.clear()
        os.environ.update(before)


def scorelake(home: Path, *arguments: str, exit_code: int = 0) -> Any:
    """Run a command as a user would, in a process of its own; returns its JSON."""
    as_json = ["--format", "json"] if arguments[0] == "sql" else ["--json"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments, *as_json],
        cwd=ROOT,
        env={**os.environ, "SCORELAKE_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_sentiment_and_spam_share_one_lake(home: Path) -> None:
    comments_csv = DATA / "youtube_sentiment" / "comments.csv"
    spam_csvs = sorted((DATA / "youtube_spam").glob("*.csv"))
    comments, spam = read_rows(comments_csv), [row for path in spam_csvs for row in read_rows(path)]

    videos = scorelake(
        home,
        "ingest",
        "videos",
        str(DATA / "youtube_sentiment" / "videos-stats.csv"),
        "--mapping",
        "youtube-statistics",
    )
    assert (videos["rows_read"], videos["rows_accepted"], videos["rows_conflicting"]) == (1_881, 1_869, 12)

    received = scorelake(home, "ingest", "comments", str(comments_csv), "--mapping", "youtube-statistics")
    assert received["rows_read"] == len(comments) == 14_691
    assert received["rows_accepted"] + received["rows_quarantined_total"] + received["rows_known"] == 14_691
    again = scorelake(home, "ingest", "comments", str(comments_csv), "--mapping", "youtube-statistics")
    assert (again["rows_accepted"], again["rows_known"]) == (0, received["rows_accepted"])

    received_spam = scorelake(home, "ingest", "comments", *map(str, spam_csvs), "--mapping", "uci-youtube-spam")
    assert received_spam["rows_read"] == len(spam)
    assert received_spam["rows_accepted"] == len({(row["COMMENT_ID"], row["CONTENT"]) for row in spam})

    scorelake(home, "materialize")
    for model in ("sentiment", "spam"):
        trained = scorelake(home, "train", model)
        assert trained["champion_after"] == trained["version"], trained["verdict"]
        scored = scorelake(home, "score", model)
        assert scored["rows_scored"] == received["rows_accepted"] + received_spam["rows_accepted"]
        assert scorelake(home, "score", model)["rows_owed"] == 0

    check_each_text_is_scored_once(home)
    check_same_texts_stay_several(home, comments)
    check_features_are_found_again(home)


def check_features_are_found_again(home: Path) -> None:
    """As used, in the lake, from the text and online: the skew check ends with exit code 0."""
    found = scorelake(home, "skew", "sentiment", "--rows", "100")
    assert {check["path"] for check in found["checks"]} == {"lake", "text", "online"}


def check_each_text_is_scored_once(home: Path) -> None:
    for model in ("sentiment", "spam"):
        rows = scorelake(
            home,
            "sql",
            "select count(*) as texts, count(s.comment_id) as scored, "
            "count(distinct (s.comment_id, s.text_id)) as once "
            f"from raw.comments as c left join scores.{model} as s using (comment_id, text_id)",
        )
        assert len({*rows[0].values()}) == 1, rows


def check_same_texts_stay_several(home: Path, comments: list[dict[str, str]]) -> None:
    rows = scorelake(
        home,
        "sql",
        "select count(*) as comments, count(distinct text_id) as texts from scores.sentiment_current "
        "where comment_id like 'ys-%'",
    )
    assert rows == [{"comments": len(comments), "texts": len({row["Comment"] for row in comments})}]
