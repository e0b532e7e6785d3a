"""What a scoring run will do: which rows are owed, by which model versions, cut into partitions.

A plan is small and serialisable; it holds SQL and paths, never rows. Running it is the worker's and the engine's
part, publishing it `publish`'s, keeping it for a run after a kill `staging`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.errors import BadData
from feature_repo.features.statements import copy_rows
from feature_repo.history import Window
from feature_repo.lake import Lake, quote_text, read_lake
from feature_repo.retrieval import compile_features, describe_service
from scoring.owed import Owed, Part, ScoreRequest, Stretch, cut_stretches

if TYPE_CHECKING:
    import duckdb

    from training.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model version at work.

    Parameters
    ----------
    pipeline, descriptor
        Files of its pipeline, and of all that is said about it.
    sql
        Retrieves the features of a partition's rows; the partition's bounds are variables in it.
    """

    version: str
    pipeline: str
    descriptor: str
    sql: str


@dataclass(frozen=True, slots=True)
class Partition:
    """A share of the owed rows: which of the plan's scorers scores it, and its bounds.

    Its rows were first observed in [since, until), and are the share-th of `shares` by a stable hash of the comment.
    """

    index: int
    scorer: int
    since: datetime
    until: datetime
    shares: int
    share: int


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """Everything a worker needs, and everything the ledger will say of the run; the champion is the first scorer."""

    run_id: str
    request: ScoreRequest
    watermark: int
    data_version: int
    rows: int
    batches_ahead: int
    home: str
    started_at: datetime
    scorers: tuple[Scorer, ...]
    partitions: tuple[Partition, ...]

    @property
    def staging(self) -> Path:
        """Where the partitions' files wait for publication."""
        return Lake(Path(self.home)).staging / self.run_id


WINDOW = Window(since="getvariable('observed_since')", until="getvariable('observed_until')")
_BOUNDS = (
    f"event_timestamp >= {WINDOW.since} and event_timestamp < {WINDOW.until} "
    "and (getvariable('shares') = 1 or md5_number_lower(comment_id) % getvariable('shares') = getvariable('share'))"
)


def build_plan(
    lake: Lake,
    versions: Sequence["ModelVersion"],
    owed: Owed,
    *,
    run_id: str,
    started_at: datetime,
    partition_rows: int,
) -> ScorePlan:
    """Cut the owed rows into partitions of at most about `partition_rows`: by version, by time, by a hash.

    Parameters
    ----------
    versions
        Of the owed parts, in their order.

    Raises
    ------
    BadData
        If the feature service of a version is no longer what the version was trained on.
    """
    for version in versions:
        _check_service(lake, version)
    staging = lake.staging / run_id
    staging.mkdir(parents=True, exist_ok=True)
    with read_lake(lake) as connection:
        if owed.request.role != "production":
            owed = _freeze(connection, owed, staging)
        cuts = [cut_stretches(connection, part.spine, partition_rows=partition_rows) for part in owed.parts]
    pairs = zip(versions, owed.parts, strict=True)
    return ScorePlan(
        run_id=run_id,
        request=owed.request,
        watermark=owed.watermark,
        data_version=owed.data_version,
        rows=owed.rows,
        batches_ahead=owed.batches_ahead,
        home=str(lake.home),
        started_at=started_at,
        scorers=tuple(_build_scorer(lake, version, part, owed.data_version) for version, part in pairs),
        partitions=tuple(_build_partitions(cuts)),
    )


def _freeze(connection: "duckdb.DuckDBPyConnection", owed: Owed, staging: Path) -> Owed:
    """Write down the rows that are owed now: what a version has not scored yet is another question an hour later."""

    def freeze(number: int, part: Part) -> Part:
        file = staging / f"spine-{number}.parquet"
        copy_rows(connection, f"select * from ({part.spine}) order by event_timestamp", file)  # noqa: S608 - our own SQL
        return replace(part, spine=f"from read_parquet({quote_text(str(file))})")

    return replace(owed, parts=tuple(freeze(number, part) for number, part in enumerate(owed.parts)))


def _build_partitions(cuts: Sequence[Sequence[Stretch]]) -> Iterator[Partition]:
    bounds = [
        (scorer, stretch, share)
        for scorer, stretches in enumerate(cuts)
        for stretch in stretches
        for share in range(stretch.shares)
    ]
    for index, (scorer, stretch, share) in enumerate(bounds):
        yield Partition(index, scorer, stretch.since, stretch.until, stretch.shares, share)


def _build_scorer(lake: Lake, version: "ModelVersion", part: Part, data_version: int) -> Scorer:
    spine = f"select * from ({part.spine}) where {_BOUNDS}"  # noqa: S608 - our own SQL
    service = version.descriptor["feature_service"]
    sql = compile_features(lake, service, spine, data_version=data_version, window=WINDOW)
    return Scorer(version.version, str(version.path), str(version.descriptor_path), sql)


def _check_service(lake: Lake, version: "ModelVersion") -> None:
    service, trained_on = version.descriptor["feature_service"], version.descriptor["service_digest"]
    now = describe_service(lake, service).digest
    if trained_on != now:
        raise BadData(
            f"{version.model} version {version.version} was trained on {service} with digest {trained_on[:12]}, and "
            f"the registry has {now[:12]} now; train anew, or restore the definitions and run `scorelake apply`"
        )
