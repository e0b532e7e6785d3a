"""What a scoring run will do: which rows are owed, by which model version, cut into partitions.

A plan is small and serialisable; it holds SQL, never rows. Running it is the worker's and the engine's
part, publishing it `publish`'s.
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version, read_watermark
from feature_repo.retrieval import build_spine, compile_features, describe_service

if TYPE_CHECKING:
    import duckdb

    from training.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class Owed:
    """Rows of the spine above the watermark of a model's role, up to the materialized data version.

    `batches_ahead` counts data versions that are ingested and not materialized: their rows are not owed yet.
    """

    model: str
    role: str
    watermark: int
    data_version: int
    rows: int
    batches_ahead: int = 0


@dataclass(frozen=True, slots=True)
class Partition:
    """A share of the owed rows: SQL that retrieves their features, and the staged file for their scores."""

    index: int
    sql: str
    file: str


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """Everything a worker needs, and everything the ledger will say of the run."""

    run_id: str
    owed: Owed
    model_version: str
    descriptor: dict[str, Any]
    pipeline_path: str
    home: str
    started_at: str
    partitions: tuple[Partition, ...]

    @property
    def started(self) -> datetime:
        """When the run began (UTC)."""
        return datetime.fromisoformat(self.started_at)

    @property
    def lease(self) -> str:
        """Name of the lease that the run needs."""
        return f"{self.owed.model}/{self.owed.role}"

    @property
    def staging(self) -> Path:
        """Where the partitions' files wait for publication."""
        return Lake(Path(self.home)).staging / self.run_id


@dataclass(frozen=True, slots=True)
class ScoreReceipt:
    """What a scoring run did; no run and no version when it only said what is owed.

    Of the rows owed, `rows_expired` could not be scored any more: their text had expired.
    """

    model: str
    run_id: str | None
    model_version: str | None
    rows_owed: int
    rows_scored: int
    data_version: int
    seconds: dict[str, float]
    is_resumed: bool = False
    batches_ahead: int = 0
    rows_expired: int = 0


def describe_owed(owed: Owed) -> ScoreReceipt:
    """Say what is owed, as the receipt of a run that scored nothing."""
    return ScoreReceipt(
        owed.model, None, None, owed.rows, 0, owed.data_version, seconds={}, batches_ahead=owed.batches_ahead
    )


def read_owed(lake: Lake, model: str, *, role: str = "production") -> Owed:
    """Count what a model's role owes; a cheap question, which needs neither Feast nor MLflow."""
    with read_lake(lake) as connection:
        return _read_owed(connection, model, role)


def build_plan(
    lake: Lake, version: "ModelVersion", owed: Owed, *, run_id: str, started_at: datetime, partition_rows: int
) -> ScorePlan:
    """Cut the owed rows into partitions of about `partition_rows` by a stable hash of the comment.

    Raises `BadData` if the version's feature service is no longer what the version was trained on.
    """
    staging = lake.staging / run_id
    service = version.descriptor["feature_service"]
    _check_service(lake, version, service)
    count = math.ceil(owed.rows / partition_rows)
    spine = build_spine(data_version=owed.data_version, above=owed.watermark)
    partitions = tuple(
        Partition(
            index=index,
            sql=compile_features(lake, service, _take_share(spine, index, count), data_version=owed.data_version),
            file=str(staging / f"{index:05d}.parquet"),
        )
        for index in range(count)
    )
    return ScorePlan(
        run_id=run_id,
        owed=owed,
        model_version=version.version,
        descriptor=dict(version.descriptor),
        pipeline_path=str(version.path),
        home=str(lake.home),
        started_at=started_at.isoformat(),
        partitions=partitions,
    )


def save_plan(plan: ScorePlan) -> None:
    """Write the plan into its staging folder, from where a run after a kill takes it up."""
    plan.staging.mkdir(parents=True, exist_ok=True)
    draft = plan.staging / "plan.json.draft"
    draft.write_text(json.dumps(asdict(plan)))
    draft.rename(plan.staging / "plan.json")


def read_plan(lake: Lake, run_id: str) -> ScorePlan | None:
    """Read the plan that a run left in staging, None if it left none."""
    file = lake.staging / run_id / "plan.json"
    if not file.exists():
        return None
    saved = json.loads(file.read_text())
    partitions = tuple(Partition(**partition) for partition in saved.pop("partitions"))
    return ScorePlan(owed=Owed(**saved.pop("owed")), partitions=partitions, **saved)


def _read_owed(connection: "duckdb.DuckDBPyConnection", model: str, role: str) -> Owed:
    watermark, data_version = read_watermark(connection, model, role), read_materialized_version(connection)
    spine = build_spine(data_version=data_version, above=watermark)
    row = connection.execute(f"select count(*) from ({spine})").fetchone()  # noqa: S608 - our own SQL and integers
    ahead = read_data_version(connection) - data_version
    return Owed(model, role, watermark, data_version, rows=row[0] if row else 0, batches_ahead=ahead)


def _check_service(lake: Lake, version: "ModelVersion", service: str) -> None:
    trained_on, now = version.descriptor["service_digest"], describe_service(lake, service).digest
    if trained_on != now:
        raise BadData(
            f"{version.model} version {version.version} was trained on {service} with digest {trained_on[:12]}, and "
            f"the registry has {now[:12]} now; train anew, or restore the definitions and run `scorelake apply`"
        )


def _take_share(spine: str, index: int, count: int) -> str:
    if count == 1:
        return spine
    return f"select * from ({spine}) where md5_number_lower(comment_id) % {count:d} = {index:d}"  # noqa: S608 - integers
