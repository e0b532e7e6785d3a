"""What is owed: the rows of the spine that a model's role has still to score, and the stretches of time they lie in.

Cheap to ask: needs neither Feast nor MLflow. How the rows are scored is the plan's to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from feature_repo.features.statements import write_instant
from feature_repo.lake import Lake, quote_name, quote_text, read_lake
from feature_repo.ledger import read_data_version, read_materialized_version, read_watermark
from feature_repo.retrieval import build_spine
from training.promotions import Assignment, read_assignment

if TYPE_CHECKING:
    import duckdb

Role = Literal["production", "shadow", "backfill"]

_FOLDER: Final = Path(__file__).parent
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What is asked of a scoring run.

    Parameters
    ----------
    role
        production scores what is new, by the versions that the ledger assigns. shadow scores what production has
        scored, by another version, and changes nothing that is in force. backfill scores what a version has not
        scored yet, however old.
    version
        Number of the version; None for those that the ledger assigns. A shadow has one.
    published_from, published_to
        Backfill only: comments written in [from, to), UTC; None is open. A comment of unknown date is in no window.
    instead_of
        Backfill only: comments whose score in force is by this version; None for all.
    """

    model: str
    role: Role = "production"
    version: str | None = None
    published_from: datetime | None = None
    published_to: datetime | None = None
    instead_of: str | None = None

    @property
    def lease(self) -> str:
        """Name of the lease that the run needs."""
        return f"{self.model}/{self.role}"


@dataclass(frozen=True, slots=True)
class Part:
    """The owed rows that one version scores: its number (None while there is no champion), and their query."""

    version: str | None
    spine: str


@dataclass(frozen=True, slots=True)
class Owed:
    """Rows with watermark < ingest_seq <= data_version that a request asks for, by version.

    `batches_ahead` counts data versions that are ingested and not materialized: their rows are not owed yet.
    """

    request: ScoreRequest
    watermark: int
    data_version: int
    parts: tuple[Part, ...]
    rows: int
    batches_ahead: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Owed rows first observed in [since, until); `shares` into which they are cut by a hash, if they are too many."""

    since: datetime
    until: datetime
    shares: int = 1


def read_owed(lake: Lake, request: ScoreRequest) -> Owed:
    """Count what is owed to a request."""
    with read_lake(lake) as connection:
        if request.role == "production":
            return _read_production(connection, request)
        return _read_unscored(connection, request)


def cut_stretches(connection: "duckdb.DuckDBPyConnection", spine: str, *, partition_rows: int) -> tuple[Stretch, ...]:
    """Cut the time in which rows were first observed so that each stretch, or share of it, has at most so many rows.

    Rows that were observed together lie together in the lake: a stretch reads only the files of its own time.
    """
    hours: Sequence[tuple[datetime, int]] = connection.execute(_read_sql("owed_hours").format(spine=spine)).fetchall()
    starts, rows = [hour for hour, _ in hours[:1]], [0]
    for hour, count in hours:
        if rows[-1] and rows[-1] + count > partition_rows:
            starts.append(hour)
            rows.append(0)
        rows[-1] += count
    spans = pairwise([*starts, *(hour + _HOUR for hour, _ in hours[-1:])])
    return tuple(
        Stretch(since, until, -(-count // partition_rows)) for (since, until), count in zip(spans, rows, strict=False)
    )


def _read_production(connection: "duckdb.DuckDBPyConnection", request: ScoreRequest) -> Owed:
    above, upto = read_watermark(connection, request.model), read_materialized_version(connection)
    spine = build_spine(data_version=upto, above=above, is_ordered=False)
    parts = _assign(read_assignment(connection, request.model), spine)
    ahead = read_data_version(connection) - upto
    return Owed(request, above, upto, parts, _count_comments(connection, above, upto), ahead)


def _read_unscored(connection: "duckdb.DuckDBPyConnection", request: ScoreRequest) -> Owed:
    """What lies above production's watermark is production's: neither a shadow nor a backfill ever meets it."""
    upto = read_watermark(connection, request.model)
    above = _read_shadow_watermark(connection, request) if request.role == "shadow" else 0
    spine = _narrow(build_spine(data_version=upto, above=above, is_ordered=False), request)
    given = read_assignment(connection, request.model)
    assigned = _assign(given, spine) if request.version is None else (Part(request.version, spine),)
    parts = tuple(_leave_scored(part, request.model) for part in assigned)
    return Owed(request, above, upto, parts, _count(connection, parts))


def _assign(assignment: Assignment, spine: str) -> tuple[Part, ...]:
    """Give the canary the rows of its channels, and the champion all others, those of unknown channels too."""
    if assignment.canary is None:
        return (Part(assignment.champion, spine),)
    is_canary = assignment.write_condition("channel_id")
    return (
        Part(assignment.champion, f"select * from ({spine}) where not {is_canary}"),  # noqa: S608 - our own SQL
        Part(assignment.canary, f"select * from ({spine}) where {is_canary}"),  # noqa: S608 - our own SQL
    )


def _narrow(spine: str, request: ScoreRequest) -> str:
    conditions = ["true"]
    if request.published_from:
        conditions.append(f"published_at >= {write_instant(request.published_from)}")
    if request.published_to:
        conditions.append(f"published_at < {write_instant(request.published_to)}")
    narrowed = f"select * from ({spine}) where {' and '.join(conditions)}"  # noqa: S608 - our own SQL and instants
    if request.instead_of is None:
        return narrowed
    values = {"spine": narrowed, "version": quote_text(request.instead_of)}
    return _read_sql("shown_by").format(current=quote_name(f"scores.{request.model}_current"), **values)


def _leave_scored(part: Part, model: str) -> Part:
    if part.version is None:
        return part
    values = {"history": quote_name(f"scores.{model}"), "version": quote_text(part.version)}
    return Part(part.version, _read_sql("unscored").format(spine=part.spine, **values))


def _read_shadow_watermark(connection: "duckdb.DuckDBPyConnection", request: ScoreRequest) -> int:
    """Where a shadow goes on; a new one begins with what production's newest run has scored."""
    row = connection.execute(
        _read_sql("shadow_watermark"), {"model": request.model, "version": request.version}
    ).fetchone()
    return int(row[0] or 0) if row else 0


def _count_comments(connection: "duckdb.DuckDBPyConnection", above: int, upto: int) -> int:
    """Rows of the spine between two data versions: one per comment, which needs no channel to be counted."""
    row = connection.execute(
        "select count(*) from raw.comments where ingest_seq > ? and ingest_seq <= ?", [above, upto]
    ).fetchone()
    return int(row[0]) if row else 0


def _count(connection: "duckdb.DuckDBPyConnection", parts: Sequence[Part]) -> int:
    counts = (connection.execute(f"select count(*) from ({part.spine})").fetchone() for part in parts)  # noqa: S608
    return sum(int(row[0]) for row in counts if row)


def _read_sql(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
