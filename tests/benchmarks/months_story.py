"""The months that `months` drives through: the project's own sample, and what goes wrong in it, planted in its files.

The sample drifts at once, on a day of its own, and stays so (other words, moods and emoji, more spam). Everything else
is a change of its finished files that hangs on ids and days alone: the same story tells the same bytes. Comments fall
out in a monthly wave, beside the sample's own weekends; texts become longer from week to week; for some days the likes
are missing; labels of two weeks come two weeks late. Days are counted from 1, the first one after the history.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from math import cos, pi
from pathlib import Path

from flows.sample import DayFiles, Sample, write_sample
from flows.sample_history import Span

START = datetime(2027, 1, 4, tzinfo=UTC)  # a Monday, later than any clock: what is kept for days ends within the story
HISTORY_DAYS = 28
DAY = timedelta(days=1)
_MONTH = 30
_WAVE = 0.2  # of the comments, up and down
_LATE = timedelta(days=14)
_MOST_LENGTHENED = 0.7  # of the comments, at the end of the slow drift
_ADDITIONS = (
    "Writing this from the train while the rain keeps falling outside",
    "By the way I watch these with my brother on most evenings",
    "Sent from the kitchen, the soup is nearly done and so is the episode",
    "For those who ask, the second part of it is linked in the older upload",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong from one day to another (inclusive), and the detectors that may tell it."""

    name: str
    first: int
    last: int
    watch_days: int  # for so long after it began an alarm may be about it
    detectors: tuple[str, ...]


BAD_MODEL = Fault("a bad model promoted by force", 11, 11, 10, ("drift", "performance"))
LATE_LABELS = Fault("labels of two weeks come two weeks late", 18, 31, 31, ("performance",))
BROKEN = Fault("like counts missing for five days", 24, 28, 14, ("drift",))
SUDDEN = Fault("sudden drift, which stays", 42, 10_000, 35, ("drift", "performance"))
SLOW = Fault("slow drift: longer texts over four weeks", 72, 99, 42, ("drift", "performance"))
FAULTS = (BAD_MODEL, LATE_LABELS, BROKEN, SUDDEN, SLOW)


@dataclass(frozen=True, slots=True)
class Months(Sample):
    """A sample that drifts from an instant of its own to its end."""

    drift_at: datetime = field(default=START)

    @property
    def span(self) -> Span:
        """The simulated time."""
        return Span(self.start_at, self.drift_at, self.start_at + self.days * DAY)


def find_morning(day: int) -> datetime:
    """The midnight at which a day of the story ends."""
    return START + (HISTORY_DAYS + day) * DAY


def write_story(folder: Path, days: int, comments_a_day: int) -> tuple[DayFiles, ...]:
    """Write the files of the history and of the days after it, with their faults; those of the history come first."""
    whole = HISTORY_DAYS + days
    drift_at = min(find_morning(SUDDEN.first - 1), START + (whole - 1) * DAY)
    generated = round(comments_a_day * whole * (1 + _WAVE))  # of which the wave takes some
    files = write_sample(Months(generated, days=whole, start_at=START, drift_at=drift_at), folder).days
    dropped = {comment for one in files for comment in _change_comments(one)}
    for name in ("sentiment", "spam"):
        _change_labels([one.sentiment_labels if name == "sentiment" else one.spam_labels for one in files], dropped)
    return files


def _count_day(at: str) -> int:
    return (datetime.fromisoformat(at) - START) // DAY + 1 - HISTORY_DAYS


def _draw(comment_id: str, what: str) -> float:
    """A number from 0 to 1 that hangs on the comment alone."""
    return int(sha256(f"{what}/{comment_id}".encode()).hexdigest()[:8], 16) / 16**8


def _change_comments(files: DayFiles) -> Iterator[str]:
    """Change the comments of a day; the ids of those that fall out."""
    kept = []
    for line in files.comments.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            written, seen = _count_day(row["published_at"]), _count_day(row["observed_at"])
            comment = row["comment_id"]
        except (ValueError, KeyError, TypeError):
            kept.append(line)  # malformed on purpose
            continue
        if _draw(comment, "wave") > (1 + _WAVE * cos(2 * pi * written / _MONTH)) / (1 + _WAVE):
            yield comment
            continue
        if _draw(comment, "longer") < _MOST_LENGTHENED * (written - SLOW.first + 1) / (SLOW.last - SLOW.first + 1):
            row["text"] += f". {_ADDITIONS[int(_draw(comment, 'which') * len(_ADDITIONS))]}"
        if BROKEN.first <= seen <= BROKEN.last:
            row["like_count"] = None
        kept.append(json.dumps(row, ensure_ascii=False))
    files.comments.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _change_labels(files: list[Path], dropped: set[str]) -> None:
    """Take out the labels of comments that fell out; those of the late weeks come later.

    Labels of sentiment are given late; those of spam are given in time, and only their files are late.
    """
    by_file: dict[Path, list[dict[str, str]]] = defaultdict(list)
    days = {_read_day(path): path for path in files}
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["comment_id"] not in dropped]
        for row in rows:
            is_late = LATE_LABELS.first <= _count_day(row["labelled_at"]) <= LATE_LABELS.last
            target = days.get(_read_day(path) + _LATE) if is_late else path
            if is_late and "sentiment" in path.name:
                row["labelled_at"] = (datetime.fromisoformat(row["labelled_at"]) + _LATE).isoformat()
            if target is not None:
                by_file[target].append(row)
    for path in files:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("comment_id", "label", "labelled_at", "labeller"), lineterminator="\n")
            writer.writeheader()
            writer.writerows(by_file[path])


def _read_day(path: Path) -> date:
    return date.fromisoformat(path.stem[-10:])
