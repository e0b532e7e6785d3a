"""The work on one partition: retrieve features, predict, write Parquet files, a batch of rows at a time.

A worker imports DuckDB, Arrow, NumPy, SciPy and scikit-learn, and nothing heavier. What becomes of the
files is `publish`'s to say.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from time import process_time
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from feature_repo.compiled import ROWS
from feature_repo.errors import Unavailable
from feature_repo.expired import find_expired
from feature_repo.features.statements import write_instant
from feature_repo.lake import Lake, read_lake
from feature_repo.ledger import read_peak_memory_mib
from scoring.feature_log import build_feature_log
from scoring.plan import locate_staged
from scoring.predict import Model, load_model, score_rows
from scoring.rows import build_scores, build_unscored
from scoring.staged import FEATURE_LOG, SCORES, UNSCORED, PartitionReceipt, StagedFiles, read_receipt, save_receipt
from training.stopwatch import Stopwatch

if TYPE_CHECKING:
    import duckdb

    from scoring.plan import Partition, ScorePlan, Scorer

# Enough rows that NumPy's loops pay; few enough that their matrix stays small.
ROWS_PER_BATCH: Final = 50_000


def get_ready() -> None:
    """Import what reading a model imports: a process that is started early need not wait for it later."""
    import skops.io  # noqa: F401, PLC0415 - pulls in all of scikit-learn


def score_partition(lake: Lake, plan: "ScorePlan", partition: "Partition") -> PartitionReceipt:
    """Score one partition into its staged files; a partition that is done already is left as it is.

    Reading goes on while a batch is scored and written. Raises `Unavailable` if features are not there yet, and
    `Refused` if the model fails at too many rows.
    """
    storage, folder = lake.storage, locate_staged(lake, plan.run_id)
    done = read_receipt(storage, folder, partition.index)
    if done is not None:
        return done
    cpu, watch, files = process_time(), Stopwatch(), StagedFiles(storage, folder, partition.index)
    rows_expired = 0
    model = _open_model(lake, plan.scorers[partition.scorer])
    with read_lake(lake) as reading, read_lake(lake) as asking, files.open():
        batches = _read_ahead(reading, plan, partition)
        for batch in watch.time_each("read", batches):
            features = _leave_expired(asking, batch, model)
            rows_expired += len(batch) - len(features)
            _score_batch(plan, model, features, files, watch)
    receipt = PartitionReceipt(
        index=partition.index,
        files=files.paths,
        rows=files.rows.get(SCORES, 0),
        rows_unscored=files.rows.get(UNSCORED, 0),
        rows_expired=rows_expired,
        seconds=watch.seconds,
        cpu_seconds=process_time() - cpu,
        bytes_written=files.count_bytes(),
        peak_memory_mib=read_peak_memory_mib(),
    )
    save_receipt(storage, folder, receipt)
    return receipt


def _score_batch(plan: "ScorePlan", model: Model, features: pa.Table, files: StagedFiles, watch: Stopwatch) -> None:
    with watch.time("predict"):
        scored = score_rows(model, features)
    with watch.time("write"):
        files.append(SCORES, build_scores(plan, model, scored))
        files.append(UNSCORED, build_unscored(plan, model, scored))
        files.append(FEATURE_LOG, build_feature_log(plan, model, scored.features))


def _read_ahead(
    connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan", partition: "Partition"
) -> Iterator[pa.Table]:
    """The features of a partition's rows in batches; the next one is read while one is being used."""
    reader = connection.execute(prepare_query(connection, plan, partition)).to_arrow_reader(ROWS_PER_BATCH)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(next, reader, None)
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, reader, None)
            yield pa.Table.from_batches([batch])


def prepare_query(connection: "duckdb.DuckDBPyConnection", plan: "ScorePlan", partition: "Partition") -> str:
    """The query for the features of a partition's rows; the connection is given what it refers to."""
    variables = {
        "observed_since": write_instant(partition.since),
        "observed_until": write_instant(partition.until),
        "data_version": str(plan.data_version),
        "shares": str(partition.shares),
        "share": str(partition.share),
    }
    for name, value in variables.items():
        connection.execute(f"set variable {name} = {value}")
    scorer = plan.scorers[partition.scorer]
    connection.execute(f"create or replace temporary view {ROWS} as {scorer.spine}")
    return scorer.sql


def _leave_expired(connection: "duckdb.DuckDBPyConnection", features: pa.Table, model: Model) -> pa.Table:
    """The rows that can be scored: those whose text has not expired.

    Raises `Unavailable` if tokens are missing though the text is there.
    """
    kept = features.filter(pa.array(~find_expired(connection, features, model.matrix.token_column)))
    for column in model.matrix.token_columns:
        if missing := kept.column(column).null_count:
            raise Unavailable(
                f"{missing} of {len(features)} owed comments have no {column}, though their text is there; run "
                "`scorelake apply` and `scorelake materialize`, then score"
            )
    return kept


@cache
def _open_model(lake: Lake, scorer: "Scorer") -> Model:
    pipeline, descriptor = (lake.storage.fetch(file) for file in (scorer.pipeline, scorer.descriptor))
    return load_model(scorer.version, pipeline=pipeline, descriptor=descriptor)
