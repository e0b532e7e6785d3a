"""What a scoring run will do: which rows are owed, by which model versions, cut into partitions.

A plan is small and serialisable; it holds SQL and paths, never rows. Running it is the worker's and the engine's
part, publishing it `publish`'s, keeping it for a run after a kill `staging`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.compiled import WINDOW, CompiledService, compile_service
from feature_repo.errors import BadData
from feature_repo.features.statements import copy_rows
from feature_repo.lake import Lake, quote_text, read_lake
from scoring.owed import Owed, Part, ScoreRequest, Stretch, cut_stretches

if TYPE_CHECKING:
    import duckdb

    from training.version import ModelVersion


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model version at work.

    Parameters
    ----------
    pipeline, descriptor
        Files of its pipeline, and of all that is said about it.
    spine
        The query for a partition's rows; the partition's bounds are variables in it.
    sql
        Retrieves the features of these rows, see `CompiledService`.
    """

    version: str
    pipeline: str
    descriptor: str
    spine: str
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
    started_at: datetime
    scorers: tuple[Scorer, ...]
    partitions: tuple[Partition, ...]


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
    services = [_compile(lake, version) for version in versions]
    with read_lake(lake) as connection:
        if owed.request.role != "production":
            owed = _freeze(lake, connection, owed, locate_staged(lake, run_id))
        cuts = [cut_stretches(connection, part.spine, partition_rows=partition_rows) for part in owed.parts]
    scorers = [_build_scorer(*one) for one in zip(versions, owed.parts, services, strict=True)]
    return ScorePlan(
        run_id=run_id,
        request=owed.request,
        watermark=owed.watermark,
        data_version=owed.data_version,
        rows=owed.rows,
        batches_ahead=owed.batches_ahead,
        started_at=started_at,
        scorers=tuple(scorers),
        partitions=tuple(_build_partitions(cuts)),
    )


def locate_staged(lake: Lake, run_id: str) -> str:
    """Where the partitions' files of a run wait for publication."""
    return f"{lake.storage.staging}/{run_id}"


def _freeze(lake: Lake, connection: "duckdb.DuckDBPyConnection", owed: Owed, folder: str) -> Owed:
    """Write down the rows that are owed now: what a version has not scored yet is another question an hour later."""

    def freeze(number: int, part: Part) -> Part:
        file = f"{folder}/spine-{number}.parquet"
        with lake.storage.open_draft(file) as draft:
            copy_rows(connection, f"select * from ({part.spine}) order by event_timestamp", draft)  # noqa: S608 - our own SQL
        return replace(part, spine=f"from read_parquet({quote_text(file)})")

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


def _build_scorer(version: "ModelVersion", part: Part, service: CompiledService) -> Scorer:
    spine = f"select * from ({part.spine}) where {_BOUNDS}"  # noqa: S608 - our own SQL
    return Scorer(version.version, version.pipeline_file, version.descriptor_file, spine, service.sql)


def _compile(lake: Lake, version: "ModelVersion") -> CompiledService:
    name, trained_on = version.descriptor["feature_service"], version.descriptor["service_digest"]
    service = compile_service(lake, name)
    if trained_on != service.digest:
        raise BadData(
            f"{version.model} version {version.version} was trained on {name} with digest {trained_on[:12]}, and "
            f"the registry has {service.digest[:12]} now; train anew, or restore the definitions and run "
            "`scorelake apply`"
        )
    return service
