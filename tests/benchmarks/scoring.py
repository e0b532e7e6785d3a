"""Scoring end to end beside the usual way of doing it: `python -m tests.benchmarks.scoring`.

Needs SCORELAKE_TEST_DATA; the side on Spark also pyspark and Java, and is left out without them. All sides score the
same comments on the same machine in the same run. Both models are fitted on the same labelled comments and judged on
the same held-out videos. What the sides do is told in `scoring_sides`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.metrics import accuracy_score, f1_score

from feature_repo.lake import Lake, read_lake
from feature_repo.ledger import read_materialized_version
from flows.report import Grid, Report, print_report
from scoring.owed import ScoreRequest, read_owed
from tests.benchmarks.scoring_lake import DAYS, START, build_lake
from tests.benchmarks.scoring_sides import FIRST_ROWS, NUMBERS, build_usual
from training.dataset import build_training_set
from training.model import build_matrix, load_pipeline
from training.registry import resolve
from training.spec import read_spec

END = START.replace(year=START.year + 1)


def export_data(folder: Path) -> None:
    """Write what the other sides start from: comments, hourly rows of channels, features as they are retrieved."""
    lake, numbers = Lake(folder / "home"), ", ".join(f"cast({name} as double) as {name}" for name in NUMBERS)
    with read_lake(lake) as connection:
        spine = read_owed(lake, ScoreRequest("sentiment")).parts[0].spine
        connection.execute(
            "copy (select spine.comment_id, spine.channel_id, spine.event_timestamp, comments.text "
            f"from ({spine}) as spine join raw.comments as comments using (comment_id, text_id) "
            "where spine.channel_id is not null) "
            f"to '{folder}/comments.parquet'"
        )
        connection.execute(
            f"copy (select channel_id, event_timestamp, created_timestamp, {numbers} from features.channel_features) "
            f"to '{folder}/channels.parquet'"
        )
        # The age of the value that each comment is given: no smaller ttl would give them all.
        [(ttl,)] = connection.execute(
            f"select max(epoch(c.event_timestamp) - epoch(f.event_timestamp)) from '{folder}/comments.parquet' as c "
            f"asof join (from '{folder}/channels.parquet' where created_timestamp <= event_timestamp) as f "
            "on c.channel_id = f.channel_id and c.event_timestamp >= f.event_timestamp"
        ).fetchall()
    (folder / "ttl.json").write_text(json.dumps(ttl + 1))
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        joined = ", ".join(f"f.{name}" for name in NUMBERS)
        connection.execute(
            f"copy (select c.*, {joined} from '{folder}/comments.parquet' as c "
            f"asof left join '{folder}/channels.parquet' as f "
            "on c.channel_id = f.channel_id and c.event_timestamp >= f.event_timestamp) "
            f"to '{folder}/joined.parquet'"
        )


def fit_usual(folder: Path) -> dict[str, float]:
    """Fit the usual model on the rows that ours learned from; figures of both on the rows held out."""
    import joblib  # noqa: PLC0415 - by the usual side alone

    lake, spec = Lake(folder / "home"), read_spec("sentiment")
    with read_lake(lake) as connection:
        upto = read_materialized_version(connection)
    known = build_training_set(lake, spec, data_version=upto, as_of=END)
    with read_lake(lake) as connection:
        texts = connection.execute("select comment_id, arg_max(text, observed_at) as text from raw.comments group by 1")
        frame = known.table.select(["comment_id", *NUMBERS]).to_pandas().merge(texts.df(), on="comment_id", how="left")
    frame = (
        frame.set_index("comment_id")
        .loc[known.table.column("comment_id").to_pylist()]
        .astype(dict.fromkeys(NUMBERS, "float64"))
    )
    labels, is_held_out = np.array(spec.classes)[known.labels], known.is_held_out
    usual = build_usual().fit(frame[~is_held_out], labels[~is_held_out])
    joblib.dump(usual, folder / "usual.joblib")
    ours = load_pipeline(resolve(lake, "sentiment").path)
    found = ours.predict(build_matrix(known.table.filter(is_held_out), known.matrix))
    said = {"ours": np.array(spec.classes)[found], "usual": usual.predict(frame[is_held_out])}
    _log_pyfunc(folder, usual, frame)
    truth = labels[is_held_out]
    return {
        f"{side}, {name}": float(figure(truth, one))
        for side, one in said.items()
        for name, figure in (("accuracy", accuracy_score), ("macro-F1", _compute_macro_f1))
    }


def _compute_macro_f1(truth: Any, said: Any) -> float:
    return float(f1_score(truth, said, average="macro"))


def _log_pyfunc(folder: Path, usual: Any, frame: pd.DataFrame) -> None:
    if find_spec("pyspark") is None:
        return
    import mlflow.sklearn  # noqa: PLC0415 - by the side on Spark alone

    shutil.rmtree(folder / "pyfunc", ignore_errors=True)  # of a run before on the same folder
    mlflow.sklearn.save_model(
        usual,
        folder / "pyfunc",
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        input_example=frame[["text", *NUMBERS]].head(3),
    )


def run_side(folder: Path, side: str) -> dict[str, float]:
    """Run one side in a process of its own; of ours, the first batch is seen in staging."""
    command = [sys.executable, "-m", "tests.benchmarks.scoring_sides", str(folder), side]
    seen: list[float] = []
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if side == "ours":
        threading.Thread(target=_watch, args=(folder / "home" / "staging", started, seen, process)).start()
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{side} ended with {process.returncode}")
    took: dict[str, float] = json.loads(out)
    took["whole"] = time.perf_counter() - started
    if side == "ours":
        took |= {"cold": seen[0], "steady": took["whole"] - seen[0]}
        took["peak_mib"] = max(took["peak_mib"], took["workers_peak_mib"])
    return took


def _watch(staging: Path, started: float, seen: list[float], process: "subprocess.Popen[str]") -> None:
    while not seen and process.poll() is None:
        if next(staging.glob("*/*-scores.parquet"), None):
            seen.append(time.perf_counter() - started)
        time.sleep(0.02)


def export_features(folder: Path) -> None:
    """Write the features of all owed rows as a worker reads them."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from scoring.plan import build_plan  # noqa: PLC0415
    from scoring.worker import prepare_query  # noqa: PLC0415

    lake = Lake(folder / "home")
    owed = read_owed(lake, ScoreRequest("sentiment"))
    plan = build_plan(
        lake, [resolve(lake, "sentiment")], owed, run_id="export", started_at=datetime.now(UTC), partition_rows=10**9
    )
    with read_lake(lake) as connection:
        query = prepare_query(connection, plan, plan.partitions[0])
        connection.execute(f"copy ({query}) to '{folder}/features.parquet'")


def read_materializing(lake: Lake) -> float:
    """Seconds that the features of all these comments took, as the ledger has them."""
    with read_lake(lake) as connection:
        [(seconds,)] = connection.execute(
            "select epoch(ended_at - started_at) from ops.runs where run_id = 'materialize'"
        ).fetchall()
    return float(seconds)


def build_report(
    took: dict[str, dict[str, float]], materializing: float, figures: dict[str, float], facts: dict[str, Any]
) -> Report:
    """A row per side, and how they compare; the seconds of materializing are of all the comments that ours scores."""
    rows = tuple(
        (
            side,
            f"{one['rows']:,.0f}",
            one["cold"],
            one["steady"],
            one["rows"] / one["steady"],
            one["whole"],
            one["peak_mib"],
        )
        for side, one in took.items()
    )
    columns = ("side", "comments", "cold start s", "steady s", "comments/s", "whole s", "peak MiB")
    ours = took["ours"]
    notes = [
        f"{side} takes {_compare(one, ours, 'steady'):.2f} times the time of ours, steady; "
        f"{_compare(one, ours, 'whole'):.2f} times as a whole"
        for side, one in took.items()
        if side != "ours"
    ]
    with_features = ours | {"steady": ours["steady"] + materializing}
    if "usual" in took:
        notes.append(
            f"usual takes {_compare(took['usual'], with_features, 'steady'):.2f} times the time of ours, steady, with "
            f"the {materializing:.1f} s in which the features were materialized"
        )
    stages = ", ".join(f"{name} {ours[name]:.1f} s" for name in ("plan", "score", "publish"))
    return Report("scoring", {**figures, **facts, "ours": stages}, (Grid(columns, rows),), notes=tuple(notes))


def _compare(theirs: dict[str, float], ours: dict[str, float], what: str) -> float:
    return theirs[what] / theirs["rows"] / (ours[what] / ours["rows"])


def main() -> None:
    """Build the lake, run the sides and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sides", nargs="+", default=["limit", "usual", "spark", "ours"])
    parser.add_argument(
        "--folder", type=Path, help="where the data is kept for another run; made and left if not there"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).absolute()
        if not (folder / "home").exists():
            build_lake(folder / "home", arguments.rows)
        export_data(folder)
        export_features(folder)
        figures = fit_usual(folder)
        sides = [side for side in arguments.sides if side != "spark" or find_spec("pyspark")]
        took = {side: run_side(folder, side) for side in sides}
        materializing = read_materializing(Lake(folder / "home"))
        print_report(build_report(took, materializing, figures, {"days": DAYS, "first rows": FIRST_ROWS}), Console())


if __name__ == "__main__":
    main()
