"""Two versions on literal scores, whose differences are counted by eye."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, write_lake
from feature_repo.storages.local import LocalStorage
from flows.compare import build_report
from scoring.compare import Comparison, compare_versions, estimate_share
from scoring.compare_plot import draw_comparison
from training.spec import read_spec
from training.version import ModelVersion

TRAINED_AT = datetime(2026, 3, 1, tzinfo=UTC)
SCORES = [  # comment, label and confidence of version 2, of version 1, what it is
    ("a", "spam", 0.9, "ham", 0.6, "spam"),
    ("b", "spam", 0.8, "spam", 0.7, "spam"),
    ("c", "ham", 0.6, "spam", 0.9, "ham"),
    ("d", "ham", 0.7, "ham", 0.8, "spam"),
]


def name_version(version: str) -> ModelVersion:
    return ModelVersion("spam", version, "", "", {"as_of": TRAINED_AT.isoformat()}, LocalStorage(Path()))


def add_scores(lake: Lake, *, labelled_at: datetime) -> None:
    def insert(connection: Any, table: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            columns = ", ".join(f"? as {name}" for name in row)
            connection.execute(f"insert into {table} by name select {columns}", list(row.values()))

    with write_lake(lake, purpose="test") as connection:
        for place, (comment, *said, label) in enumerate(SCORES):
            key = {"comment_id": comment, "text_id": f"t-{comment}"}
            common = {"feature_service": "spam_v1", "data_version": 1, "run_id": "r", "scored_at": TRAINED_AT}
            for version, name, confidence in (("2", *said[:2]), ("1", *said[2:])):
                shown = {"label": name, "confidence": confidence, "is_abstained": confidence < 0.7}
                chances = {"p_ham": 1 - confidence, "p_spam": confidence}
                insert(connection, "scores.spam", [key | common | shown | chances | {"model_version": version}])
            at = {"event_timestamp": TRAINED_AT, "created_timestamp": TRAINED_AT, "ingest_seq": 1}
            insert(connection, "features.comment_features", [key | at | _describe(chars=10 + 20 * place)])
            insert(
                connection,
                "raw.labels",
                [
                    {"comment_id": comment, "task": "spam", "label": label, "labelled_at": labelled_at}
                    | {"labeller": "x", "source": "test", "batch_id": "b", "ingest_seq": 2}
                ],
            )


def _describe(*, chars: int) -> dict[str, Any]:
    zeros = ("mean_word_chars", "capital_share", "digit_share", "punctuation_share", "non_latin_share")
    counts = ("exclamation_count", "question_count", "emoji_count", "url_count", "video_time_count", "stretch_count")
    found: dict[str, Any] = dict.fromkeys((*zeros, *counts, "english_word_share", "word_count"), 0)
    return found | {"text_chars": chars, "is_reply": False}


def compare(lake: Lake, **asked: Any) -> Comparison:
    return compare_versions(lake, read_spec("spam"), name_version("2"), name_version("1"), **asked)


def test_differences_are_those_that_are_counted_by_eye(lake: Lake, tmp_path: Path) -> None:
    add_scores(lake, labelled_at=TRAINED_AT + timedelta(days=1))
    found = compare(lake)
    assert (found.overall.rows, found.overall.disagreement) == (4, estimate_share(2, 4))
    assert (found.overall.our_confidence, found.overall.their_confidence) == pytest.approx((0.75, 0.75))
    assert set(found.labels) == {("spam", "ham", 1), ("spam", "spam", 1), ("ham", "spam", 1), ("ham", "ham", 1)}
    assert (found.our_abstained, found.their_abstained) == (0.25, 0.25)
    assert sum(found.our_histogram) == sum(found.their_histogram) == 4
    slices = {one.name: (one.rows, one.disagreement.value) for one in found.slices}
    assert slices == {"short text": (2, 0.5)}  # 10 and 30 characters, of which the first is disagreed on
    assert found.judged
    assert (found.judged.our_accuracy, found.judged.their_accuracy) == (0.75, 0.25)
    assert found.judged.accuracy_gain.value == 0.5
    assert build_report(found).title == "spam: version 2 says otherwise than 1 on 50.0%"
    assert draw_comparison(found, tmp_path / "reports" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_labels_that_a_version_may_have_learned_from_judge_nobody(lake: Lake) -> None:
    add_scores(lake, labelled_at=TRAINED_AT)
    found = compare(lake)
    assert found.judged is None
    assert build_report(found).notes == ("no label has come since both were trained: who is right is not known",)


def test_versions_without_a_comment_in_common_are_told_how_to_get_one(lake: Lake) -> None:
    with pytest.raises(
        BadData, match="versions 2 and 1 of spam have scored no comment in common; run `scorelake score"
    ):
        compare(lake)


def test_a_share_has_wilsons_interval() -> None:
    # Of Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I.
    found = estimate_share(15, 148)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0624, 0.1605)
