"""A generated platform to try the whole road on: comments, videos, channels and labels, as files per day.

Belongs here: what to generate, the malformed rows, the files. Does not belong here: what happens
(`sample_history`), what is observed and labelled (`sample_observations`), the wording (`sample_text`).
Everything is drawn from the seed: the same `Sample` gives the same bytes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, cycle, islice, pairwise
from pathlib import Path
from random import Random

from feature_repo.errors import BadData
from flows import sample_history
from flows.sample_history import Comment, Span, draw_id
from flows.sample_observations import (
    Label,
    Row,
    as_instant,
    build_channel_rows,
    build_comment_rows,
    build_labels,
    build_video_rows,
)

DRIFT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Sample:
    """What to generate: comments over some days, of which the last seven drift.

    Parameters
    ----------
    comments
        Comments published; edits, second observations, duplicates and malformed rows come on top.
    seed
        Another seed tells another history of the same kind.
    days
        Simulated days, more than seven.
    start_at
        Midnight in UTC at which the first day begins.
    malformed_share
        Of comment rows: those that the contract must refuse, from 0 to below 1.
    labelled_share
        Of comments: those that get one label for sentiment and one for spam, 0 to 1. Labels come up to three
        days later, so those of the last days are partly outside the sample.

    Raises
    ------
    BadData
        When a value is outside its range.
    """

    comments: int = 20_000
    seed: int = 7
    days: int = 28
    start_at: datetime = datetime(2026, 9, 7, tzinfo=UTC)
    malformed_share: float = 0.02
    labelled_share: float = 0.6

    def __post_init__(self) -> None:
        ranges = {
            f"comments above 0, found {self.comments}": self.comments > 0,
            f"more than {DRIFT_DAYS} days, found {self.days}": self.days > DRIFT_DAYS,
            f"start_at at midnight UTC, found {self.start_at}": _is_midnight_utc(self.start_at),
            f"malformed_share from 0 to below 1, found {self.malformed_share}": 0 <= self.malformed_share < 1,
            f"labelled_share from 0 to 1, found {self.labelled_share}": 0 <= self.labelled_share <= 1,
        }
        if broken := [wanted for wanted, is_met in ranges.items() if not is_met]:
            raise BadData(f"A sample needs {'; and '.join(broken)}. Change the value.")

    @property
    def span(self) -> Span:
        """The simulated time."""
        end_at = self.start_at + timedelta(days=self.days)
        return Span(self.start_at, end_at - timedelta(days=DRIFT_DAYS), end_at)

    @property
    def on_days(self) -> list[date]:
        """The simulated days, in order."""
        return [(self.start_at + timedelta(days=day)).date() for day in range(self.days)]


def _is_midnight_utc(at: datetime) -> bool:
    return at.utcoffset() == timedelta(0) and at.timestamp() % 86_400 == 0


@dataclass(frozen=True, slots=True)
class DayFiles:
    """What became known on one day; every file but the comments' may hold its header alone."""

    day: date
    channels: Path
    videos: Path
    comments: Path
    sentiment_labels: Path
    spam_labels: Path


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """The files of a sample; `rows` counts all lines of the comment files, `malformed` the bad ones."""

    days: tuple[DayFiles, ...]
    rows: int
    malformed: int


def write_sample(sample: Sample, folder: Path) -> SampleFiles:
    """Write the files of a sample.

    Parameters
    ----------
    sample
        What to generate; equal samples give files that are equal byte for byte.
    folder
        Made when missing; files of the same name are replaced.

    Returns
    -------
    SampleFiles
        The paths, days in order, and how many rows of the comment files there are and how many are malformed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    span = sample.span
    channels = sample_history.build_channels(_stream(sample, "channels"))
    videos = sample_history.build_videos(channels, span, rng=_stream(sample, "videos"))
    comments = sample_history.build_comments(sample.comments, videos, span=span, rng=_stream(sample, "comments"))
    lines, malformed = _lines_by_day(sample, comments)
    labels = _labels_by_day(sample, comments)
    seen_channels = _rows_by_day(sample, build_channel_rows(channels, videos, span=span))
    seen_videos = _rows_by_day(sample, build_video_rows(videos, comments, span=span))
    return SampleFiles(
        days=tuple(
            DayFiles(
                day=day,
                channels=_write_csv(folder / f"channels-{day}.csv", seen_channels[day]),
                videos=_write_csv(folder / f"videos-{day}.csv", seen_videos[day]),
                comments=_write_lines(folder / f"comments-{day}.jsonl", lines[day]),
                sentiment_labels=_write_labels(
                    folder / f"labels-sentiment-{day}.csv", labels[day], lambda label: label.sentiment
                ),
                spam_labels=_write_labels(folder / f"labels-spam-{day}.csv", labels[day], lambda label: label.spam),
            )
            for day in sample.on_days
        ),
        rows=sum(len(of_day) for of_day in lines.values()),
        malformed=malformed,
    )


def _stream(sample: Sample, name: str) -> Random:
    """Each part draws from a stream of its own, so that a change in one leaves the others as they were."""
    return Random(f"{sample.seed}/{name}")  # noqa: S311 - repeatable on purpose, nothing secret hangs on it


def _lines_by_day(sample: Sample, comments: Sequence[Comment]) -> tuple[dict[date, list[str]], int]:
    rows: dict[date, list[Row]] = {day: [] for day in sample.on_days}
    for row in build_comment_rows(comments, sample.span, rng=_stream(sample, "rows")):
        rows[date.fromisoformat(str(row["observed_at"])[:10])].append(row)
    quotas = _quotas([len(of_day) for of_day in rows.values()], sample.malformed_share)
    rng, kinds = _stream(sample, "malformed"), cycle(_MALFORMED)
    lines = {
        day: _mingle([_as_line(row) for row in of_day], _spoil(of_day, islice(kinds, quota), rng), rng)
        for (day, of_day), quota in zip(rows.items(), quotas, strict=True)
    }
    return lines, sum(quotas)


def _quotas(good_counts: Sequence[int], share: float) -> list[int]:
    """How many malformed rows each day takes, so that the share holds from the first day on."""
    totals = [round(good * share / (1 - share)) for good in accumulate(good_counts)]
    return [total - before for before, total in pairwise([0, *totals])]


def _spoil(rows: Sequence[Row], kinds: Iterable[Callable[[Row], str]], rng: Random) -> list[str]:
    """Copies of rows under ids of their own, each broken in one way; no good row is lost with them."""
    return [kind(rng.choice(rows) | {"comment_id": draw_id("Ug", 24, rng)}) for kind in kinds]


def _mingle(lines: list[str], others: Sequence[str], rng: Random) -> list[str]:
    for other in others:
        lines.insert(rng.randrange(len(lines) + 1), other)
    return lines


def _as_line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


_MALFORMED: tuple[Callable[[Row], str], ...] = (
    lambda row: _as_line(row | {"text": ""}),
    lambda row: _as_line(row | {"like_count": -1 - int(row["like_count"])}),
    lambda row: _as_line(row | {"published_at": "2026-02-30T12:00:00Z"}),
    lambda row: _as_line(row | {"observed_at": str(row["observed_at"]).removesuffix("Z")}),
    lambda row: _as_line({name: value for name, value in row.items() if name != "comment_id"}),
    lambda row: _as_line(row | {"comment_id": ""}),
    lambda row: _as_line(row)[: len(_as_line(row)) // 2],
)
"""Empty text, negative count, impossible date, date without a zone, no id, empty id, broken JSON."""


def _labels_by_day(sample: Sample, comments: Sequence[Comment]) -> dict[date, list[Label]]:
    labels: dict[date, list[Label]] = {day: [] for day in sample.on_days}
    for label in build_labels(comments, sample.labelled_share, span=sample.span, rng=_stream(sample, "labels")):
        labels[label.labelled_at.date()].append(label)
    return labels


def _rows_by_day(sample: Sample, rows: Sequence[Row]) -> dict[date, list[Row]]:
    """The rows of each day, under a first one with the column names; what was seen earlier counts to the first day."""
    names: Row = {name: name for name in rows[0]}
    by_day: dict[date, list[Row]] = {day: [names] for day in sample.on_days}
    for row in rows:
        by_day[max(date.fromisoformat(str(row["observed_at"])[:10]), sample.on_days[0])].append(row)
    return by_day


def _write_lines(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


def _write_labels(path: Path, labels: Sequence[Label], answer: Callable[[Label], str]) -> Path:
    rows = [(label.comment_id, answer(label), as_instant(label.labelled_at), label.labeller) for label in labels]
    return _write_table(path, ("comment_id", "label", "labelled_at", "labeller"), rows)


def _write_csv(path: Path, rows: Sequence[Row]) -> Path:
    header, *others = (tuple(row.values()) for row in rows)
    return _write_table(path, [str(name) for name in header], others)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path
