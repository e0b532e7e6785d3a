"""The command that publishes: what it reports, and that it makes no lake where there is none."""

from pathlib import Path

import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake
from flows.publish import build_report, publish
from scoring.published import locate_published
from tests.scoring.score_rows import Score, append_scores


def test_the_first_publication_is_whole_and_the_next_is_of_changes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
    append_scores(lake, "spam", "run-1", [Score("a", "spam")])
    first, second = publish(), publish()
    assert (first.is_whole, second.is_whole) == (True, False)
    assert locate_published(lake).resolve() == Path(second.file)
    report = build_report(first)
    assert report.title == "6 rows published"  # the score twice, and two labels of a day and a video
    assert report.facts["rows of scores.spam_current"] == 1
    assert build_report(second).title == "0 rows published"


def test_where_there_is_no_lake_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(tmp_path / "home"))
    with pytest.raises(Unavailable, match="no lake at"):
        publish()
    assert list(tmp_path.iterdir()) == []
