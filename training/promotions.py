"""The promotion ledger: who is champion, since when and why. The one place that says so.

**Order of a promotion.** The verdict is committed to `ops.promotions` first, MLflow's aliases follow. Killed in
between, the ledger already holds the new champion, and scoring, which asks the ledger, uses it; only the mirror in
MLflow is stale, until the next train, promote or rollback sets it again. The other way round, a version could score
whose promotion no one recorded.

Knows neither MLflow nor the gate.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import quote_name

if TYPE_CHECKING:
    import duckdb

_CHAMPION_AT: Final = Path(__file__).with_name("champion_at.sql").read_text(encoding="utf-8")

Action = Literal["promoted", "refused", "rolled_back", "canary", "withdrawn"]

BY_HAND: Final = "Promoted by hand"  # how the reason begins of a promotion that was not the gate's

# Ten thousand shares of a hundredth of a percent each: as fine as anyone steers a canary.
_SHARES: Final = 10_000


class ChampionChanged(Unavailable):
    """The champion is no longer the one that a decision was about: judge again."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One row of `ops.promotions`; the meaning of each field is declared there."""

    decided_at: datetime
    model: str
    version: str
    action: Action
    champion_before: str | None
    champion_after: str | None
    reasons: tuple[str, ...]
    run_id: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Which versions of a model are champion and previous champion; None where there is none."""

    champion: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which versions score for production: the champion, and a canary for its share of the channels, 0 to 1."""

    champion: str | None
    canary: str | None = None
    share: float = 0.0

    def write_condition(self, channel: str) -> str:
        """The SQL condition that a channel is the canary's; never null, false for a null channel.

        A channel is, if its hash, read as a fraction, lies below the share: widening keeps those that it had.
        """
        return f"coalesce(md5_number_lower({channel}) % {_SHARES:d} < {round(self.share * _SHARES):d}, false)"


def read_assignment(connection: "duckdb.DuckDBPyConnection", model: str) -> Assignment:
    """Read which versions the ledger assigns. A canary ends when it is withdrawn, or the champion changes."""
    row = connection.execute(
        "select version, share from ops.promotions where model = ? and action <> 'refused' "
        "order by decided_at desc limit 1",
        [model],
    ).fetchone()
    champion = read_standing(connection, model).champion
    return Assignment(champion, row[0], row[1]) if row and row[1] else Assignment(champion)


def read_standing(connection: "duckdb.DuckDBPyConnection", model: str) -> Standing:
    """Read the champion in force and the one before it."""
    row = connection.execute(
        "select champion_after, champion_before from ops.promotions "
        "where model = ? and action in ('promoted', 'rolled_back') order by decided_at desc limit 1",
        [model],
    ).fetchone()
    return Standing(*row) if row else Standing(None, None)


def read_last_change(connection: "duckdb.DuckDBPyConnection", model: str) -> tuple[Action, datetime] | None:
    """Read how the champion in force became it, promoted or rolled back, and when; None before there is one."""
    row = connection.execute(
        "select action, decided_at from ops.promotions "
        "where model = ? and action in ('promoted', 'rolled_back') order by decided_at desc limit 1",
        [model],
    ).fetchone()
    return (row[0], row[1]) if row else None


def read_champion_at(connection: "duckdb.DuckDBPyConnection", model: str, instant: datetime) -> str | None:
    """Read who was champion at an instant (aware); None before the first promotion.

    One query over the ledger, the same for any past instant: `champion_at.sql`. A rollback counts like a promotion, a
    refusal changes nothing, and at the very instant of a decision its outcome is in force.
    """
    if instant.tzinfo is None:
        raise BadData(f"an instant must say its time zone, found {instant.isoformat()}")
    row = connection.execute(_CHAMPION_AT, {"model": model, "instant": instant}).fetchone()
    return row[0] if row else None


def read_last_verdict(
    connection: "duckdb.DuckDBPyConnection", model: str, version: str
) -> tuple[Action, tuple[str, ...]] | None:
    """Read the latest verdict on a version: its action and reasons; None if it was never judged."""
    row = connection.execute(
        "select action, reasons from ops.promotions where model = ? and version = ? "
        "and action not in ('canary', 'withdrawn') order by decided_at desc limit 1",
        [model, version],
    ).fetchone()
    return (row[0], tuple(row[1])) if row else None


def is_refused_by_gate(connection: "duckdb.DuckDBPyConnection", model: str, version: str) -> bool:
    """Whether the gate's own last verdict on a version was to refuse it, whoever promoted it afterwards."""
    row = connection.execute(
        "select action from ops.promotions where model = ? and version = ? and action in ('promoted', 'refused') "
        "and not starts_with(reasons[1], ?) order by decided_at desc limit 1",
        [model, version, BY_HAND],
    ).fetchone()
    return row is not None and row[0] == "refused"


def append_promotion(connection: "duckdb.DuckDBPyConnection", promotion: Promotion) -> None:
    """Write one row within the caller's transaction, under the writer lock.

    A row is never dated before an earlier one of its model: the latest decides, and clocks go back at times.

    Raises
    ------
    ChampionChanged
        If the champion is no longer the one that the decision was about.
    """
    now = read_standing(connection, promotion.model).champion
    if now != promotion.champion_before:
        raise ChampionChanged(
            f"the champion of {promotion.model} was {promotion.champion_before or 'none'} when version "
            f"{promotion.version} was judged, and is {now or 'none'} now; judge it again"
        )
    row = asdict(promotion) | {"reasons": list(promotion.reasons)}
    columns = ", ".join(quote_name(name) for name in row)
    marks = ", ".join("?" for _ in list(row)[1:])
    connection.execute(
        f"insert into ops.promotions ({columns}) "  # noqa: S608 - the names of our own fields, quoted
        f"select greatest(?, coalesce(max(decided_at) + interval 1 microsecond, '-infinity')), {marks} "
        "from ops.promotions where model = ?",
        [*row.values(), promotion.model],
    )
