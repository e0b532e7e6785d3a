import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

from feature_repo.errors import BadData
from flows import sample_text
from flows.sample import Sample, SampleFiles, write_sample

SMALL = Sample(comments=300, days=9)
WEEKS = (
    ("2026-09-14", "2026-09-21"),
    ("2026-09-21", "2026-09-28"),
    ("2026-09-28", "2026-10-05"),
)  # the last drifts
ROW_TYPES = {
    "comment_id": str,
    "channel_id": str,
    "video_id": str,
    "parent_id": str,
    "author_id": str,
    "text": str,
    "published_at": str,
    "observed_at": str,
    "like_count": int,
    "reply_count": int,
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A sample as a reader of its files meets it."""

    files: SampleFiles
    good: list[Row]  # in file order, repetitions included
    faults: list[str]  # of the malformed rows
    comments: dict[str, Row]  # each as first observed
    labels: dict[str, dict[str, str]]  # task to comment_id to label


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    files = write_sample(Sample(comments=6_000), tmp_path_factory.mktemp("sample"))
    lines = [(line, _fault(line)) for day in files.days for line in _lines(day.comments)]
    good = [json.loads(line) for line, fault in lines if not fault]
    return Written(
        files=files,
        good=good,
        faults=[fault for _, fault in lines if fault],
        comments={row["comment_id"]: row for row in reversed(good)},
        labels={
            "sentiment": _labels([day.sentiment_labels for day in files.days]),
            "spam": _labels([day.spam_labels for day in files.days]),
        },
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _labels(paths: Sequence[Path]) -> dict[str, str]:
    return {row["comment_id"]: row["label"] for path in paths for row in _table(path)}


def _is_instant(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _fault(line: str) -> str:
    """What is wrong with a line, judged without the generator's help; empty when it is good."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return "broken JSON"
    faults = {
        "no comment_id": "comment_id" not in row,
        "empty comment_id": row.get("comment_id") == "",
        "empty text": not row["text"].strip(),
        "negative like_count": row["like_count"] < 0,
        "impossible published_at": not _is_instant(row["published_at"]),
        "naive observed_at": not row["observed_at"].endswith("Z"),
    }
    return " and ".join(fault for fault, is_present in faults.items() if is_present)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_sample_is_the_same_bytes(tmp_path: Path) -> None:
    write_sample(SMALL, tmp_path / "one")
    write_sample(SMALL, tmp_path / "two")
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")
    assert len(_digests(tmp_path / "one")) == 5 * SMALL.days


def test_writing_again_replaces_the_files(tmp_path: Path) -> None:
    write_sample(replace(SMALL, comments=900), tmp_path / "used")
    write_sample(SMALL, tmp_path / "used")
    write_sample(SMALL, tmp_path / "new")
    assert _digests(tmp_path / "used") == _digests(tmp_path / "new")


def test_another_seed_is_another_history(tmp_path: Path) -> None:
    write_sample(SMALL, tmp_path / "one")
    write_sample(replace(SMALL, seed=8), tmp_path / "two")
    one, two = _digests(tmp_path / "one"), _digests(tmp_path / "two")
    assert one.keys() == two.keys()
    assert not {digest for name, digest in one.items() if name.startswith("comments") and digest == two[name]}


def test_the_bytes_do_not_hang_on_the_hash_seed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from flows.sample import Sample, write_sample;"
        f"write_sample(Sample(comments={SMALL.comments}, days={SMALL.days}), Path(sys.argv[1]))"
    )
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", program, tmp_path / hash_seed], check=True, env=environment)
    assert _digests(tmp_path / "1") == _digests(tmp_path / "2")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"comments": 0}, "comments above 0, found 0"),
        ({"days": 7}, "more than 7 days, found 7"),
        ({"start_at": datetime(2026, 9, 7)}, "midnight UTC, found 2026-09-07 00:00:00"),  # noqa: DTZ001 - naive
        (
            {"start_at": datetime(2026, 9, 7, 6, tzinfo=UTC)},
            r"midnight UTC, found 2026-09-07 06:00:00\+00:00",
        ),
        ({"malformed_share": 1.0}, "malformed_share from 0 to below 1, found 1.0"),
        ({"labelled_share": 1.2}, "labelled_share from 0 to 1, found 1.2"),
        ({"comments": -1, "days": 2}, "found -1; and more than 7 days, found 2"),
    ],
)
def test_a_sample_out_of_range_is_refused(value: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        Sample(**value)


def test_rows_and_malformed_rows_are_counted(written: Written) -> None:
    assert written.files.rows == len(written.good) + len(written.faults)
    assert written.files.malformed == len(written.faults)
    assert written.files.malformed / written.files.rows == pytest.approx(0.02, abs=0.0002)


def test_malformed_rows_come_in_every_kind_alike(written: Written) -> None:
    counts = Counter(written.faults)
    assert set(counts) == {
        "broken JSON",
        "no comment_id",
        "empty comment_id",
        "empty text",
        "negative like_count",
        "impossible published_at",
        "naive observed_at",
    }
    assert max(counts.values()) - min(counts.values()) <= 1


def test_no_day_holds_more_than_its_share_of_malformed_rows(tmp_path: Path) -> None:
    files = write_sample(replace(SMALL, malformed_share=0.1), tmp_path)
    for day in files.days:
        faults = [_fault(line) for line in _lines(day.comments)]
        assert sum(map(bool, faults)) <= 0.1 * len(faults) + 1


def test_a_share_of_zero_gives_no_malformed_rows(tmp_path: Path) -> None:
    files = write_sample(replace(SMALL, malformed_share=0), tmp_path)
    assert files.malformed == 0
    assert not any(_fault(line) for day in files.days for line in _lines(day.comments))


def test_files_carry_the_canonical_columns(written: Written) -> None:
    without_channel = {name: kind for name, kind in ROW_TYPES.items() if name != "channel_id"}
    for row in written.good:
        assert {name: type(value) for name, value in row.items()} in (ROW_TYPES, without_channel)
    assert ",".join(_table(written.files.days[0].videos)[0]) == (
        "video_id,channel_id,title,published_at,observed_at,view_count,like_count,comment_count"
    )
    assert ",".join(_table(written.files.days[0].channels)[0]) == (
        "channel_id,title,observed_at,subscriber_count,view_count,video_count"
    )
    assert ",".join(_table(written.files.days[0].spam_labels)[0]) == "comment_id,label,labelled_at,labeller"


def test_a_day_holds_what_became_known_on_it(written: Written) -> None:
    start_on = datetime(2026, 9, 7, tzinfo=UTC).date()
    assert [day.day for day in written.files.days] == [start_on + timedelta(days=n) for n in range(28)]
    for day in written.files.days:
        good = [json.loads(line) for line in _lines(day.comments) if not _fault(line)]
        assert {row["observed_at"][:10] for row in good} == {str(day.day)}
        for labels in (day.sentiment_labels, day.spam_labels):
            assert {row["labelled_at"][:10] for row in _table(labels)} == {str(day.day)}


def test_the_stated_share_of_comments_is_labelled_in_both_tasks(written: Written) -> None:
    settled = [row["comment_id"] for row in written.comments.values() if row["observed_at"] < "2026-10-02"]
    share = sum(comment_id in written.labels["sentiment"] for comment_id in settled) / len(settled)
    assert share == pytest.approx(0.6, abs=0.02)
    assert written.labels["spam"].keys() == written.labels["sentiment"].keys() <= written.comments.keys()
    assert set(written.labels["sentiment"].values()) == {"negative", "neutral", "positive"}
    assert set(written.labels["spam"].values()) == {"spam", "ham"}


@pytest.mark.parametrize(
    "pattern",
    [r"[\U0001F300-\U0001FAFF]", r"https?://|www\.", r"\A[^a-z]*[A-Z]{3}[^a-z]*\Z", r"(?i)recall|refund"],
    ids=["emoji", "address", "capitals", "vocabulary"],
)
def test_texts_of_the_drifting_week_differ_and_those_before_are_alike(written: Written, pattern: str) -> None:
    def share(since: str, until: str) -> float:
        texts = [row["text"] for row in written.comments.values() if since <= row["published_at"] < until]
        return sum(bool(re.search(pattern, text)) for text in texts) / len(texts)

    second, third, drifting = (share(*week) for week in WEEKS)
    assert third == pytest.approx(second, abs=0.02)
    assert drifting > 1.5 * max(second, third)


@pytest.mark.parametrize(("task", "label", "factor"), [("sentiment", "negative", 1.4), ("spam", "spam", 1.4)])
def test_the_mood_turns_in_the_drifting_week(written: Written, task: str, label: str, factor: float) -> None:
    def share(since: str, until: str) -> float:
        week = [comment_id for comment_id, row in written.comments.items() if since <= row["published_at"] < until]
        answers = [written.labels[task][comment_id] for comment_id in week if comment_id in written.labels[task]]
        return answers.count(label) / len(answers)

    second, third, drifting = (share(*week) for week in WEEKS)
    assert third == pytest.approx(second, abs=0.04)
    assert drifting > factor * max(second, third)


def _split(written: Written, task: str) -> tuple[list[str], list[str], list[str], list[str]]:
    """Texts and labels of three videos in four, then those of the rest."""
    held_out = set(sorted({row["video_id"] for row in written.comments.values()})[::4])
    parts: dict[bool, tuple[list[str], list[str]]] = {False: ([], []), True: ([], [])}
    for comment_id, label in written.labels[task].items():
        texts, labels = parts[written.comments[comment_id]["video_id"] in held_out]
        texts.append(written.comments[comment_id]["text"])
        labels.append(label)
    return *parts[False], *parts[True]


@pytest.mark.parametrize(("task", "lowest", "highest"), [("sentiment", 0.73, 0.88), ("spam", 0.90, 0.98)])
def test_a_model_lands_between_the_majority_class_and_perfect(
    written: Written, task: str, lowest: float, highest: float
) -> None:
    train_texts, train_labels, texts, labels = _split(written, task)
    model = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=4, class_weight="balanced"))
    answers = model.fit(train_texts, train_labels).predict(texts)
    majority = [Counter(train_labels).most_common(1)[0][0]] * len(labels)
    assert f1_score(labels, majority, average="macro") < 0.5
    assert lowest < f1_score(labels, answers, average="macro") < highest


def test_a_word_list_is_fooled(written: Written) -> None:
    _, _, texts, labels = _split(written, "sentiment")
    english = sample_text.phrases()["en"]

    def answer(text: str) -> str:
        praise, blame = (sum(word in text.lower() for word in english[tone]) for tone in ("good", "bad"))
        return "positive" if praise > blame else "negative" if blame > praise else "neutral"

    assert 0.35 < f1_score(labels, [answer(text) for text in texts], average="macro") < 0.65
