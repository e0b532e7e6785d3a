"""How often watching errs, by replay: `python -m tests.benchmarks.false_alarms [--windows N] [--rows N]`.

A long quiet history of the project's own sample (with its weekly and daily rhythm) goes the whole road once: features
in SQL, a model trained on its first weeks, scores. Each replayed window has a history of its own: days of that pool,
drawn at random with replacement for the same weekday, then judged by the very detectors that `monitor` uses. Where
weekends are made to differ, a Saturday is always like a Saturday. Counts and runs are drawn from distributions.

Of each window that is odd the windows of the two days before are judged, too: an alarm is two of three. Intervals are
Wilson's, 95 % (*JASA* 22, 1927).
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import sqrt
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.report import Grid, Report, print_report
from flows.sample import DRIFT_DAYS, DayFiles, Sample, write_sample
from flows.stage import prepare_lake
from scoring.alarm import AlarmRule, WindowVerdict, judge_windows
from scoring.detection import PastDays, detect_drift
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.samples import COLUMNS, draw_sample
from scoring.score import ScoreOptions, score_owed
from scoring.thresholds import WEEK, Rhythm
from scoring.throughput import Runs, find_usual_speed
from scoring.volume import HISTORY_DAYS, DailyCounts, check_volume
from training.promote import promote_version
from training.spec import read_spec
from training.train import train_model

WINDOW_DAYS, REFERENCE_DAYS = 7, 28
RATE = 0.01
RULE = AlarmRule()
START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
MODEL = "spam"
Rows = pd.DataFrame
Fault = Callable[[Rows, int], Rows]  # a day's comments, and how many days it is before the end: what they become


@dataclass(frozen=True, slots=True)
class Tally:
    """Of so many windows, how many were odd, and how many an alarm."""

    windows: int
    odd: int
    alarms: int


def estimate_share(count: int, of: int) -> str:
    """A share with its Wilson interval, in per cent."""
    z, share = 1.959964, count / of
    centre, reach = share + z * z / (2 * of), z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((centre + sign * reach) / (1 + z * z / of) for sign in (-1, 1))
    return f"{share:.2%} ({max(low, 0):.2%} to {high:.2%})"


def build_pool(home: Path, weeks: int, comments_per_day: int) -> list[Rows]:
    """Take a quiet history the whole road; its scored comments by day, with the features that are watched."""
    lake, days = Lake(home), weeks * WEEK
    prepare_lake(lake)
    # The last seven days of a sample drift: they are left out.
    sample = Sample((days + DRIFT_DAYS) * comments_per_day, days=days + DRIFT_DAYS, start_at=START)
    quiet = write_sample(sample, home / "sample").days[:days]
    now = START + timedelta(days=days)
    _ingest(lake, quiet, now)
    apply_definitions(lake)
    receipt = materialize_features(lake, run_id="materialize", now=now)
    train_model(lake, read_spec(MODEL), run_id="train", now=now, data_version=receipt.owed.upto)
    promote_version(lake, MODEL, "1", run_id="by-hand", now=now, overruling="for the benchmark")
    options = ScoreOptions(engine=LocalEngine(1))
    score_owed(lake, ScoreRequest(MODEL), run_id="score-spam-1", now=now, options=options)
    with read_lake(lake) as connection:
        rows = draw_sample(connection, MODEL, START, now, days * comments_per_day * 2)
    day = (rows["observed_at"] - START.replace(tzinfo=None)).dt.days
    return [rows[day == number].drop(columns="observed_at") for number in range(days)]


def _ingest(lake: Lake, days: tuple[DayFiles, ...], now: datetime) -> None:
    for number, (kind, files, task) in enumerate(
        [
            ("channels", [day.channels for day in days], None),
            ("videos", [day.videos for day in days], None),
            ("comments", [day.comments for day in days], None),
            ("labels", [day.spam_labels for day in days], MODEL),
        ]
    ):
        request = IngestRequest(
            kind=kind,  # type: ignore[arg-type]  # each is one
            paths=tuple(files),
            mapping=read_mapping(),
            source="sample",
            run_id=f"batch-{number}",
            now=now,
            author_key=b"a key for benchmarks",
            task=task,
        )
        ingest_files(lake, request)


def keep(day: Rows, _days_ago: int) -> Rows:
    """A quiet day."""
    return day


def make_wave(day: Rows, days_ago: int) -> Rows:
    """A day of a strong week: at weekends texts are a third longer, and a third of the comments falls out."""
    is_weekend = days_ago % WEEK in (0, 1)
    changed = day.assign(text_chars=day["text_chars"] * 1.3, word_count=day["word_count"] + 0.3)
    return changed.iloc[: 2 * len(changed) // 3] if is_weekend else day


def drift_at_once(day: Rows, days_ago: int, *, by: float) -> Rows:
    """Since a week all texts are so many of their deviations longer."""
    spread = day["text_chars"].std()
    return day.assign(text_chars=day["text_chars"] + by * spread) if days_ago < WINDOW_DAYS else day


def drift_slowly(day: Rows, days_ago: int) -> Rows:
    """For five weeks texts have become longer, by 0.02 of their deviation a day."""
    spread = day["text_chars"].std()
    return day.assign(text_chars=day["text_chars"] + 0.02 * (WINDOW_DAYS + REFERENCE_DAYS - days_ago) * spread)


def break_column(day: Rows, days_ago: int, *, value: float, since: int) -> Rows:
    """For some days a column has been one value, or none."""
    return day.assign(english_word_share=value) if days_ago < since else day


def say_spam(day: Rows, days_ago: int) -> Rows:
    """Since a week one comment in ten that was ham is said to be spam."""
    turned = (np.arange(len(day)) % 10 == 0) & (day["label"] == "ham")
    return day.assign(label=day["label"].where(~turned, "spam")) if days_ago < WINDOW_DAYS else day


FAULTS: dict[str, Fault] = {
    "texts 0.15 deviations longer": partial(drift_at_once, by=0.15),
    "texts 0.3 deviations longer": partial(drift_at_once, by=0.3),
    "texts longer by 0.02 a day, 5 weeks": drift_slowly,
    "a tenth of ham said to be spam": say_spam,
    "a column null, for 2 days": partial(break_column, value=float("nan"), since=2),
    "a column null, for 7 days": partial(break_column, value=float("nan"), since=7),
    "a column 0, for 7 days": partial(break_column, value=0.0, since=7),
}


def judge_drift(pool: list[Rows], fault: Fault, rows: int, seed: int) -> tuple[bool, bool]:
    """Whether the newest window of one history is odd, and whether it is an alarm."""
    rng = np.random.default_rng(seed)
    days = WINDOW_DAYS + REFERENCE_DAYS + RULE.windows - 1
    # The newest day is a Sunday; the pool begins with a Monday.
    chosen = [rng.choice(np.arange(WEEK - 1 - ago % WEEK, len(pool), WEEK)) for ago in range(days)]
    history = [fault(pool[place], ago) for ago, place in enumerate(chosen)]
    verdicts = []
    for before in range(RULE.windows):
        window_to = START + timedelta(days=days - before)
        is_odd = is_window_odd(history[before:], rows, rng)
        verdicts.append(WindowVerdict(window_to, window_to, is_odd))
        if not verdicts[0].is_violated:
            return False, False
    return True, judge_windows(verdicts, RULE).is_on


def is_window_odd(history: list[Rows], rows: int, rng: np.random.Generator) -> bool:
    """Whether the window of the newest days is odd, beside the reference before it; drawn as production does."""
    windows = history[WINDOW_DAYS : WINDOW_DAYS + REFERENCE_DAYS], history[:WINDOW_DAYS]
    counts = [sum(len(day) for day in window) for window in windows]
    share = WINDOW_DAYS / REFERENCE_DAYS
    drawn = min(rows, counts[1], round(counts[0] * share))
    samples, days = [], []
    for window, first, wanted in zip(windows, (WINDOW_DAYS, 0), (round(drawn / share), drawn), strict=True):
        places = np.repeat(np.arange(first, first + len(window)), [len(day) for day in window])
        taken = rng.choice(len(places), min(wanted, len(places)), replace=False)
        samples.append(pd.concat(window, ignore_index=True).iloc[taken])
        days.append(places[taken])
    past = PastDays(np.concatenate(days), Rhythm(WINDOW_DAYS, REFERENCE_DAYS), RATE / 2)
    return detect_drift(samples[0], samples[1], columns=COLUMNS, past=past).is_violated


def draw_counts(rng: np.random.Generator, days: int) -> NDArray[np.float64]:
    """Comments a day: a weekly rhythm, a trend of 1 % a week, bursts of 15 %, and chance (negative binomial)."""
    numbers = np.arange(days)
    mean = 800 * (1 + 0.35 * (numbers % WEEK >= WEEK - 2)) * 1.01 ** (numbers / WEEK)
    return rng.poisson(mean * rng.gamma(1 / 0.15**2, 0.15**2, days)).astype(float)


def judge_volume(kept_share: float, seed: int) -> tuple[bool, bool]:
    """The same of the number of comments, of which a share is left on the last three days."""
    rng = np.random.default_rng(seed)
    comments, refused = draw_counts(rng, HISTORY_DAYS + RULE.windows), np.zeros(HISTORY_DAYS + RULE.windows)
    refused += rng.poisson(15, len(refused))
    comments[-RULE.windows :] = np.floor(comments[-RULE.windows :] * kept_share)
    verdicts = []
    for before in range(RULE.windows):
        end, at = len(comments) - before, START + timedelta(days=len(comments) - before)
        seen = slice(end - HISTORY_DAYS - 1, end)
        checks = check_volume(DailyCounts(at, comments[seen], refused[seen]), RATE / 2)
        verdicts.append(WindowVerdict(at, at, any(check.is_violated for check in checks)))
    return verdicts[0].is_violated, judge_windows(verdicts, RULE).is_on


def judge_speed(slower: float, seed: int) -> tuple[bool, bool]:
    """The same of a day's 24 runs, so many times slower, beside 100 runs before: 8 s to start, 30,000 rows a second."""
    rng, verdicts = np.random.default_rng(seed), []
    for before in range(RULE.windows):
        rows = rng.lognormal(8, 1, 124)
        seconds = (8 + rows / 30_000) * rng.lognormal(0, 0.15, 124)
        seconds[:24] *= slower
        usual = find_usual_speed(Runs(rows[24:], seconds[24:]), Runs(rows[:24], seconds[:24]))
        at = START - timedelta(days=before)
        is_odd = usual is not None and not usual.contains(float(rows[:24].sum() / seconds[:24].sum()))
        verdicts.append(WindowVerdict(at, at, is_odd))
    return verdicts[0].is_violated, judge_windows(verdicts, RULE).is_on


def tally(judge: Callable[[int], tuple[bool, bool]], windows: int, executor: ProcessPoolExecutor) -> Tally:
    """Judge so many windows, each of a history of its own."""
    found = list(executor.map(judge, range(windows), chunksize=10))
    return Tally(windows, sum(odd for odd, _ in found), sum(alarm for _, alarm in found))


_POOL: list[Rows] = []


def _take_pool(file: Path) -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _POOL.extend(pd.read_pickle(file))  # noqa: S301 - written by this program


def _judge_drift(name: str, rows: int, seed: int) -> tuple[bool, bool]:
    faults = {"quiet": keep, "wave": make_wave, **FAULTS}
    return judge_drift(_POOL, faults[name], rows, seed)


def replay(pool: Path, windows: int, rows: int, workers: int) -> Iterator[tuple[str, str, Tally]]:
    """Every detector on quiet windows and on planted faults."""
    few = max(windows // 20, 1)
    with ProcessPoolExecutor(workers, get_context("spawn"), _take_pool, (pool,)) as executor:
        yield "drift", "quiet", tally(partial(_judge_drift, "quiet", rows), windows, executor)
        yield "drift", "quiet, weekends differ", tally(partial(_judge_drift, "wave", rows), windows // 4, executor)
        for name in FAULTS:
            yield "drift", name, tally(partial(_judge_drift, name, rows), few, executor)
        for name, share in (("quiet", 1.0), ("a fifth is missing", 0.8), ("half is missing", 0.5)):
            yield "volume", name, tally(partial(judge_volume, share), windows * 4 if share == 1 else windows, executor)
        for name, slower in (("quiet", 1.0), ("twice as slow", 2.0)):
            yield "throughput", name, tally(partial(judge_speed, slower), windows, executor)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1_200)
    parser.add_argument("--rows", type=int, default=1_000, help="rows of a window's sample")
    parser.add_argument("--weeks", type=int, default=26, help="weeks of the pool")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pool = build_pool(Path(scratch) / "home", asked.weeks, asked.rows // 4)
        file = Path(scratch) / "pool.pickle"
        pd.to_pickle(pool, file)
        found = list(replay(file, asked.windows, asked.rows, asked.workers))
    lines = tuple(
        (detector, name, one.windows, estimate_share(one.odd, one.windows), estimate_share(one.alarms, one.windows))
        for detector, name, one in found
    )
    header = ("detector", "what happened", "windows", "odd", "alarm")
    facts = {"rate that is asked for": RATE, "rows of a window's sample": asked.rows, "days of the pool": len(pool)}
    print_report(Report("How often watching errs", facts, (Grid(header, lines),)), Console())


if __name__ == "__main__":
    main()
