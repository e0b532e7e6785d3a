"""What each group of features is worth on real comments: `python -m tests.benchmarks.ablation [sentiment|spam]`.

Needs SCORELAKE_TEST_DATA. Folds of whole videos within the training side of the split; the rows that are held out
for ever are not touched (spam has too few videos to hold any out). Every row of the table is the same model, fitted
anew without a group of features, or with the words (and their pairs) and that group alone; the difference to the first
row is a paired bootstrap over videos.

Not shown, because these comments do not tell: likes when first seen, statistics of channels and videos, and past
labels (their times are not known), authors, and places in threads (there are no replies).
"""

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from feature_repo.contracts import TABLES
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.migration import migrate_tables
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.report import Grid, Report, print_report
from training.card import show_estimate
from training.dataset import TrainingSet, build_training_set, split_table
from training.difference import compare_macro_f1
from training.evaluate import choose_judged_rows
from training.fit import fit_model, predict_out_of_fold
from training.model import MatrixSpec
from training.spec import ModelSpec, Recipe, read_spec
from training.trial import build_examples, evaluate_judged

if TYPE_CHECKING:
    from training.model import Floats

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = {
    "length": ("text_chars", "word_count", "mean_word_chars"),
    "capitals": ("capital_share",),
    "punctuation and digits": ("punctuation_share", "digit_share", "exclamation_count", "question_count"),
    "emoji": ("emoji_count",),
    "links": ("url_count",),
    "times in the video": ("video_time_count",),
    "repeated letters": ("stretch_count",),
    "script": ("non_latin_share",),
    "English function words": ("english_word_share",),
    "channel windows": tuple(
        f"{name}_{days}d"
        for days in (1, 7, 30)
        for name in ("comment_count", "author_count", "like_count", "reply_count", "capital_share", "url_share")
    ),
}
RECIPE = Recipe({"classes__estimator__C": (0.5,)})
# preset, folder, and the files of each kind, by model
SOURCES = {
    "sentiment": (
        "youtube-statistics",
        "youtube_sentiment",
        {"videos": ["videos-stats.csv"], "comments": ["comments.csv"]},
    ),
    "spam": ("uci-youtube-spam", "youtube_spam", {"comments": ["*.csv"]}),
}


def fill_lake(data: Path, home: Path, model: str) -> Lake:
    """A lake with a model's labelled comments, their videos and their features."""
    lake = Lake(home)
    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, lambda inside: migrate_tables(inside, TABLES))
    apply_definitions(lake)
    preset, folder, files = SOURCES[model]
    for kind, patterns in files.items():
        paths = tuple(path for pattern in patterns for path in sorted((data / folder).glob(pattern)))
        ingest_files(
            lake,
            IngestRequest(
                kind=kind,
                paths=paths,
                mapping=read_mapping(preset),
                source=preset,
                run_id=kind,
                now=NOW,
                author_key=b"benchmark",
                task=model,
            ),
        )
    materialize_features(lake, run_id="materialize", now=NOW)
    return lake


def read_training_side(lake: Lake, spec: ModelSpec, data_version: int) -> tuple[TrainingSet, ModelSpec]:
    """The rows that may be learned from, to be judged across folds of videos."""
    whole = build_training_set(lake, spec, data_version=data_version, as_of=NOW)
    across = replace(spec, is_cross_group=True)
    side = split_table(
        whole.table.filter(~whole.is_held_out), across, whole.service, data_version=data_version, as_of=NOW
    )
    return side, across


def list_variants(matrix: MatrixSpec) -> dict[str, MatrixSpec]:
    """The columns of each row of the table, by what the row is called."""
    words = replace(matrix, token_columns=matrix.token_columns[:1], numeric=(), lexicon=None)
    variants = {
        "all features": matrix,
        "words only": words,
        "all but beginnings of words": replace(matrix, token_columns=words.token_columns),
        "words and beginnings of words": replace(words, token_columns=matrix.token_columns),
    }
    if matrix.lexicon:
        variants["all but valences"] = replace(matrix, lexicon=None)
        variants["words and valences"] = replace(words, lexicon=matrix.lexicon)
    for name, columns in GROUPS.items():
        if set(columns) <= set(matrix.numeric):
            others = tuple(one for one in matrix.numeric if one not in columns)
            variants[f"all but {name}"] = replace(matrix, numeric=others)
            variants[f"words and {name}"] = replace(words, numeric=columns)
    return variants


def predict(side: TrainingSet, spec: ModelSpec, matrix: MatrixSpec) -> "Floats":
    """Out-of-fold probabilities of the model on these columns."""
    examples = build_examples(side, spec, matrix)
    fit = partial(fit_model, recipe=RECIPE, build_pipeline=spec.build_pipeline)
    return predict_out_of_fold(examples, spec.folds, fit)


def build_rows(side: TrainingSet, spec: ModelSpec) -> list[tuple[Any, ...]]:
    """Accuracy and macro-F1 of every variant, and its macro-F1 against all features."""
    rows = choose_judged_rows(side, spec)
    found = []
    whole = predict(side, spec, side.matrix)
    for name, matrix in list_variants(side.matrix).items():
        probabilities = predict(side, spec, matrix)
        values = evaluate_judged(spec, rows, probabilities).overall.values
        against = show_estimate(compare_macro_f1(rows, probabilities, whole).estimate)
        found.append((name, show_estimate(values["accuracy"]), show_estimate(values["macro_f1"]), against))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(SOURCES), nargs="?", default="sentiment")
    model = parser.parse_args().model
    data = Path(os.environ["SCORELAKE_TEST_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        lake = fill_lake(data, Path(scratch) / "home", model)
        side, spec = read_training_side(lake, read_spec(model), len(SOURCES[model][2]))
        rows = build_rows(side, spec)
    grid = Grid(("features", "accuracy", "macro-F1", "macro-F1 against all"), tuple(rows))
    print_report(Report(f"{model}: {len(side.labels):,} comments, folds of whole videos", grids=(grid,)), Console())


if __name__ == "__main__":
    main()
