"""The sides of the scoring benchmark: each scores the same comments in a process of its own, and tells what it took.

ours: the whole run, from stored features to published scores. usual: Feast's own DuckDB store with the tightest ttl
into a frame, scikit-learn's TF-IDF of words and pairs with logistic regression on text and numbers, inserted into
DuckDB. spark: the usual model as an MLflow pyfunc in a Spark UDF on two local cores, its features joined before.
limit: our features in memory already; matrix and prediction on two processes, and nothing else.
"""

import json
import multiprocessing
import os
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import duckdb  # noqa: E402 - the start of the process is the start of the measurement
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from feature_repo.lake import Lake  # noqa: E402

NUMBERS = [f"{name}_{days}d" for days in (1, 7, 30) for name in ("comment_count", "author_count", "like_count")]
FIRST_ROWS = 1_000
CORES = 2


def score_ours(folder: Path) -> dict[str, float]:
    from scoring.engine import LocalEngine  # noqa: PLC0415 - part of what is measured
    from scoring.owed import ScoreRequest  # noqa: PLC0415
    from scoring.score import ScoreOptions, score_owed  # noqa: PLC0415

    lake = Lake(folder / "home")
    options = ScoreOptions(engine=LocalEngine(CORES))
    run_id = f"score-sentiment-{time.time_ns()}"
    receipt = score_owed(lake, ScoreRequest("sentiment"), run_id=run_id, now=datetime.now(UTC), options=options)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"rows": receipt.rows_scored, "workers_peak_mib": workers, **receipt.seconds}


def open_feast(folder: Path) -> Any:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig  # noqa: PLC0415
    from feast.types import Float64  # noqa: PLC0415
    from feast.value_type import ValueType  # noqa: PLC0415

    config = RepoConfig(
        project="usual",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.STRING)
    times = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created_timestamp"}
    source = FileSource(name="channels", path=str(folder / "channels.parquet"), **times)
    ttl = timedelta(seconds=json.loads((folder / "ttl.json").read_text()))
    fields = [Field(name=name, dtype=Float64) for name in NUMBERS]
    view = FeatureView(name="channels", entities=[channel], source=source, schema=fields, ttl=ttl)
    store.apply([channel, source, view])
    return store


def retrieve(store: Any, spine: pd.DataFrame) -> pd.DataFrame:
    features = [f"channels:{name}" for name in NUMBERS]
    found: pd.DataFrame = store.get_historical_features(entity_df=spine, features=features).to_df()
    return found


def damp(numbers: pd.DataFrame) -> pd.DataFrame:
    return np.log1p(numbers.fillna(0.0))  # type: ignore[no-any-return]  # a frame of the same shape


def build_usual() -> Any:
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    numbers = FunctionTransformer(damp)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    columns = ColumnTransformer([("words", words, "text"), ("numbers", numbers, NUMBERS)])
    return make_pipeline(columns, LogisticRegression(C=3, max_iter=1_000, class_weight="balanced"))


def score_usual(folder: Path) -> dict[str, float]:
    import joblib  # noqa: PLC0415

    model = joblib.load(folder / "usual.joblib")
    store = open_feast(folder)
    spine = pq.read_table(folder / "comments.parquet").to_pandas()
    model.predict_proba(retrieve(store, spine.head(FIRST_ROWS)))
    first = time.perf_counter()
    frame = retrieve(store, spine)
    retrieved = time.perf_counter()
    probabilities = model.predict_proba(frame)
    predicted = time.perf_counter()
    write_scores(folder / "usual.duckdb", frame, probabilities, list(model.classes_))
    written = time.perf_counter()
    return {
        "rows": len(frame),
        "cold": first - STARTED,
        "steady": written - first,
        "retrieve": retrieved - first,
        "predict": predicted - retrieved,
        "write": written - predicted,
    }


def write_scores(file: Path, frame: pd.DataFrame, probabilities: Any, classes: list[str]) -> None:
    """Insert scores into a plain DuckDB file; the frame is found by its name."""
    scores = frame[["comment_id", "channel_id", "event_timestamp"]].copy()
    scores["label"] = np.array(classes)[probabilities.argmax(axis=1)]
    for place, name in enumerate(classes):
        scores[f"p_{name}"] = probabilities[:, place]
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table scores as from scores")


def score_spark(folder: Path) -> dict[str, float]:
    import mlflow.pyfunc  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415
    from pyspark.sql.functions import struct  # noqa: PLC0415

    os.environ["PYSPARK_PYTHON"] = sys.executable  # or Spark's workers take the first python3 of the path
    builder = SparkSession.builder.master(f"local[{CORES}]").config("spark.driver.memory", "6g")
    spark = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false").getOrCreate()
    score = mlflow.pyfunc.spark_udf(spark, str(folder / "pyfunc"), result_type="array<double>", env_manager="local")
    columns = ["text", *NUMBERS]
    frame = spark.read.parquet(str(folder / "joined.parquet"))
    frame.limit(FIRST_ROWS).select(score(struct(*columns))).collect()
    first = time.perf_counter()
    scored = frame.select("comment_id", "channel_id", score(struct(*columns)).alias("probabilities"))
    scored.write.mode("overwrite").parquet(str(folder / "spark-scores"))
    written = time.perf_counter()
    return {"rows": frame.count(), "cold": first - STARTED, "steady": written - first}


def score_limit(folder: Path) -> dict[str, float]:
    barrier = multiprocessing.get_context("spawn").Barrier(CORES + 1)
    spawn = multiprocessing.get_context("spawn").Process
    workers = [spawn(target=score_share, args=(folder, share, barrier)) for share in range(CORES)]
    for worker in workers:
        worker.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    rows = pq.read_metadata(folder / "features.parquet").num_rows
    return {"rows": rows, "cold": started - STARTED, "steady": seconds}


def score_share(folder: Path, share: int, barrier: Any) -> None:
    """Build matrices and predict for a share of the features, in memory before the clock starts."""
    from scoring.predict import load_model, score_rows  # noqa: PLC0415
    from scoring.worker import ROWS_PER_BATCH  # noqa: PLC0415
    from training.registry import resolve  # noqa: PLC0415

    version = resolve(Lake(folder / "home"), "sentiment")
    model = load_model("1", pipeline=version.path, descriptor=version.storage.fetch(version.descriptor_file))
    table = pq.read_table(folder / "features.parquet")
    middle = len(table) // CORES
    part = pa.table(table.slice(share * middle, middle if share + 1 < CORES else None))
    score_rows(model, part.slice(0, FIRST_ROWS))
    barrier.wait()
    for start in range(0, len(part), ROWS_PER_BATCH):
        score_rows(model, part.slice(start, ROWS_PER_BATCH))
    barrier.wait()


SIDES = {"ours": score_ours, "usual": score_usual, "spark": score_spark, "limit": score_limit}


def main() -> None:
    """Score by one side and print what it took, as JSON."""
    folder, side = Path(sys.argv[1]), sys.argv[2]
    took = SIDES[side](folder)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    sys.stdout.write(json.dumps({**took, "whole": time.perf_counter() - STARTED, "peak_mib": peak}))


if __name__ == "__main__":
    main()
