"""What each candidate is worth, how fast it scores, and what was chosen: `python -m tests.benchmarks.quality`.

Chosen among are rows of the training side alone, by repeated stratified folds, folds of whole videos, and later rows.
The held-out side is asked once, for the default. Each candidate is a run in MLflow at `--mlflow FOLDER`.
"""

import argparse
import os
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from sklearn.model_selection import GroupKFold, RepeatedStratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from feature_repo.features.texts import describe_texts
from feature_repo.lake import Lake, read_lake
from flows.report import Grid, Report, print_report
from tests.benchmarks.ablation import NOW, fill_lake
from tests.benchmarks.candidates import CANDIDATES, Candidate, Corpus, Rows
from training.card import show_estimate
from training.dataset import TrainingSet, build_training_set
from training.metrics import Estimate, Metrics, estimate_metrics, tally_groups
from training.model import Floats
from training.spec import read_spec

DEFAULT = "default: all of these"
REPEATS, FOLDS = 2, 5
LATER = 0.2
SPEED_ROWS = 50_000
# Accuracy and macro-F1 as published for the same data, on other rows: shared with it.
PUBLISHED = {
    "naive Bayes": (0.703, None),
    "LSTM": (0.753, None),
    "SVM, tuned": (0.76, None),
    "BERT, fine-tuned": (0.813, 0.760),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Figures of a candidate; rows a second on one core, reading of features not counted."""

    name: str
    stratified: Metrics
    by_video: Metrics
    later: Metrics
    fit_seconds: float
    rows_per_second: float


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="candidates whose name holds this")
    parser.add_argument("--plot", type=Path, help="PNG of accuracy against speed")
    parser.add_argument("--mlflow", type=Path, help="folder for MLflow's store")
    arguments = parser.parse_args()
    data = Path(os.environ["SCORELAKE_TEST_DATA"])
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(limits=1):
        lake = fill_lake(data, Path(scratch) / "home", "sentiment")
        whole = read_corpus(lake, data)
    side = take(whole, np.flatnonzero(~whole.known.is_held_out))
    wanted = [one for one in CANDIDATES if not arguments.only or arguments.only in one.name]
    with threadpool_limits(limits=1):
        found = []
        for one in track(wanted, "measuring", console=Console(stderr=True)):
            found.append(measure(one, side))
            if arguments.mlflow:
                log_run(found[-1], arguments.mlflow)
        last = list(judge_last(whole)) if not arguments.only else []
    print_report(build_report(found, last, len(side.labels)), Console(width=150))
    if arguments.plot:
        draw_frontier(found).savefig(arguments.plot, dpi=110)


def read_corpus(lake: Lake, data: Path) -> Corpus:
    """Every labelled comment, and other comments without labels."""
    known = build_training_set(lake, read_spec("sentiment"), data_version=2, as_of=NOW)
    with read_lake(lake) as connection:
        texts = connection.execute("select comment_id, text from raw.comments").to_arrow_table()
    by_id = dict(zip(texts["comment_id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    labelled = set(by_id.values())
    others = pc.unique(pq.read_table(data / "throughput" / "youtube_text.parquet")["text"]).to_pylist()
    unlabelled = describe_texts([text for text in others if text and text not in labelled])
    return Corpus(known, np.array([by_id[one] for one in known.table["comment_id"].to_pylist()], object), unlabelled)


def take(corpus: Corpus, rows: Rows) -> Corpus:
    """Some of the labelled rows."""
    known = corpus.known
    part = replace(
        known,
        table=known.table.take(pa.array(rows)),
        labels=known.labels[rows],
        groups=known.groups[rows],
        is_held_out=known.is_held_out[rows],
    )
    return Corpus(part, corpus.texts[rows], corpus.unlabelled)


def measure(candidate: Candidate, side: Corpus) -> Found:
    """All figures of a candidate on the training side."""
    repeats = 1 if candidate.is_slow else REPEATS
    repeated = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=1)
    instants = side.known.table["event_timestamp"].to_numpy().astype("int64")
    is_later = instants > np.quantile(instants, 1 - LATER)
    everything = np.arange(len(side.labels))
    started = perf_counter()
    judge = candidate.fit(side, everything)
    fit_seconds = perf_counter() - started
    return Found(
        candidate.name,
        judge_folds(candidate, side, repeated.split(everything, side.labels)),
        judge_folds(candidate, side, GroupKFold(FOLDS).split(everything, groups=side.groups)),
        judge_folds(candidate, side, iter([(np.flatnonzero(~is_later), np.flatnonzero(is_later))])),
        fit_seconds,
        measure_speed(judge, side),
    )


def judge_folds(candidate: Candidate, corpus: Corpus, folds: Iterator[tuple[Rows, Rows]]) -> Metrics:
    """Figures over all folds, each row judged by a model that has not seen it; intervals from resampled videos."""
    judged, said = [], []
    for learn, rows in folds:
        judged.append(rows)
        said.append(candidate.fit(corpus, learn)(corpus, rows))
    rows, probabilities = np.concatenate(judged), np.vstack(said)
    return summarize(corpus.known, rows, probabilities)


def summarize(known: TrainingSet, rows: Rows, probabilities: Floats) -> Metrics:
    """Figures with their intervals."""
    groups = np.unique(known.groups[rows], return_inverse=True)[1].astype(np.int64)
    tally = tally_groups(known.labels[rows], probabilities, groups, int(groups.max()) + 1)
    return estimate_metrics(tally, read_spec("sentiment").classes)


def measure_speed(judge: object, side: Corpus) -> float:
    """Comments a second on one core, from stored features (or the text) to probabilities; the best of three.

    By processor time, so that whatever else the machine does counts little.
    """
    rows = np.resize(np.arange(len(side.labels)), SPEED_ROWS)
    many = take(side, rows)
    best = float("inf")
    for _ in range(3):
        fresh = Corpus(many.known, many.texts, many.unlabelled)  # no matrix is kept from the time before
        started = process_time()
        judge(fresh, np.arange(SPEED_ROWS))  # type: ignore[operator]
        best = min(best, process_time() - started)
    return SPEED_ROWS / best


def judge_last(whole: Corpus) -> Iterator[tuple[str, Metrics]]:
    """The default where nothing was chosen: on the held-out videos, and as published models were, on a random fifth."""
    default = next(one for one in CANDIDATES if one.name == DEFAULT)
    is_held_out = whole.known.is_held_out
    learn, judged = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
    yield "held-out videos", judge_folds(default, whole, iter([(learn, judged)]))
    everything = np.arange(len(whole.labels))
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=1, random_state=1)
    yield "stratified fifths of all rows", judge_folds(default, whole, folds.split(everything, whole.labels))


def build_report(found: list[Found], last: list[tuple[str, Metrics]], rows: int) -> Report:
    """The tables."""

    def show(metrics: Metrics, *names: str) -> list[str]:
        return [show_estimate(metrics.values[name]) for name in names]

    header = ("candidate", "accuracy", "macro-F1", "log loss", "ECE", "by video", "", "later", "", "fit s", "rows/s")
    body = tuple(
        (
            one.name,
            *show(one.stratified, "accuracy", "macro_f1"),
            *(f"{one.stratified.values[name].value:.3f}" for name in ("log_loss", "ece")),
            *(f"{one.by_video.values[name].value:.3f}" for name in ("accuracy", "macro_f1")),
            *(f"{one.later.values[name].value:.3f}" for name in ("accuracy", "macro_f1")),
            f"{one.fit_seconds:.1f}",
            f"{one.rows_per_second:,.0f}",
        )
        for one in found
    )
    side = Grid(header, body, title=f"{rows:,} rows of the training side, {REPEATS} x {FOLDS} stratified folds")
    ours = tuple((f"ours, {name}", *show(one, "accuracy", "macro_f1"), f"{one.rows:,}") for name, one in last)
    theirs = tuple(
        (f"published: {name}", f"{a:.3f}", f"{f:.3f}" if f else "", "") for name, (a, f) in PUBLISHED.items()
    )
    beside = Grid(("", "accuracy", "macro-F1", "rows judged"), (*ours, *theirs), title="ours and published")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Report("sentiment", grids=(side, beside), notes=(f"peak memory of this process {peak:,.0f} MiB",))


def draw_frontier(found: list[Found]) -> Figure:
    """Accuracy against speed; what nothing else beats in both is joined by a line."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    learned = [one for one in found if one.stratified.values["accuracy"].value > 0.7]
    for one in learned:
        value: Estimate = one.stratified.values["accuracy"]
        spread = [[value.value - value.low], [value.high - value.value]]
        colour = "tab:red" if one.name == DEFAULT else "tab:orange" if one.name.startswith("text") else "tab:blue"
        axes.errorbar(one.rows_per_second, value.value, yerr=spread, fmt="o", color=colour, alpha=0.8)
        if not one.name.startswith(("default,", "tokens, prefixes")):  # these lie in one heap
            at = one.rows_per_second, value.value
            axes.annotate(one.name, at, xytext=(6, -10), textcoords="offset points", fontsize=8)
    front = sorted(
        (one.rows_per_second, one.stratified.values["accuracy"].value)
        for one in learned
        if not any(
            other.rows_per_second > one.rows_per_second
            and other.stratified.values["accuracy"].value > one.stratified.values["accuracy"].value
            for other in learned
        )
    )
    axes.plot(*zip(*front, strict=True), color="grey", linewidth=0.8, zorder=0)
    axes.axhline(PUBLISHED["BERT, fine-tuned"][0], linestyle="--", linewidth=0.8, color="black")
    axes.annotate(
        "BERT as published",
        (0.25, PUBLISHED["BERT, fine-tuned"][0]),
        (0, 3),
        ("axes fraction", "data"),
        "offset points",
    )
    axes.set(xscale="log", xlabel="comments a second on one core", ylabel="accuracy, stratified folds (95 % interval)")
    return figure


def log_run(found: Found, folder: Path) -> None:
    """A run in MLflow's experiment `sentiment candidates`."""
    from mlflow import MlflowClient  # noqa: PLC0415 - seconds to import

    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    known = client.get_experiment_by_name("sentiment candidates")
    experiment = known.experiment_id if known else client.create_experiment("sentiment candidates")
    run = client.create_run(experiment, run_name=found.name).info.run_id
    for design, metrics in {"stratified": found.stratified, "by_video": found.by_video, "later": found.later}.items():
        for name, one in metrics.values.items():
            client.log_metric(run, f"{design}/{name}", one.value)
            client.log_metric(run, f"{design}/{name}_low", one.low)
            client.log_metric(run, f"{design}/{name}_high", one.high)
    client.log_metric(run, "fit_seconds", found.fit_seconds)
    client.log_metric(run, "rows_per_second", found.rows_per_second)
    client.set_terminated(run)


if __name__ == "__main__":
    main()
