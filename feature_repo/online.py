"""The online store: what it owes the lake, filling it, and reading it as a request would.

It holds the values of views that are `online` at one instant, the one of its last filling. Batch scoring never
reads it. Which row is the value at an instant is decided in `point_in_time`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_materialized_version, read_reverted_version
from feature_repo.retrieval import open_store, read_service, read_source, translate_errors

if TYPE_CHECKING:
    import duckdb
    from feast import FeatureStore
    from feast.feature_view_projection import FeatureViewProjection

_EARLIEST: Final = Path(__file__).with_name("online_earliest.sql")
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class OnlineState:
    """What the online store holds: the values at an instant, as of a data version."""

    data_version: int
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class OnlineReceipt:
    """What a filling did: the events from `start_at` on were looked at; None if nothing had changed."""

    run_id: str
    start_at: datetime | None
    end_at: datetime
    seconds: float


# Before any batch and any event.
_NOTHING_HELD: Final = OnlineState(-1, datetime.fromtimestamp(0, UTC))


def fill_online(lake: Lake, *, run_id: str, now: datetime) -> OnlineReceipt:
    """Bring the online store to the values at `now`, of every key of which something has changed since last time.

    A late row counts whenever its event was: the window reaches back to the earliest event that came in. A kill
    leaves a window that the next call fills again.

    Raises
    ------
    Unavailable
        If the definitions were never applied, or another writer holds the lake for too long.
    """
    started = perf_counter()
    store = open_store(lake)
    tables = [read_source(view).table for view in store.list_feature_views() if view.online]
    with read_lake(lake) as connection:
        data_version, before = read_materialized_version(connection), read_online_state(connection)
        end_at = max(now, before.filled_at) if before else now
        if before and read_reverted_version(connection) > before.data_version:
            before = None  # what was computed anew bears old numbers
        earliest = [_read_earliest(connection, table, before, end_at) for table in tables]
    start_at = min((found for found in earliest if found), default=None)
    if start_at is not None:
        with write_lake(lake, purpose=f"online features {run_id}") as connection:
            materialize_online(lake, start_at=start_at, end_at=end_at)
            run = _build_run(run_id, now, end_at, data_version=data_version, seconds=perf_counter() - started)
            run_transaction(connection, lambda inside: append_run(inside, run))
    return OnlineReceipt(run_id, start_at, end_at, perf_counter() - started)


def materialize_online(lake: Lake, *, start_at: datetime, end_at: datetime) -> None:
    """Write the values at `end_at`, of every key with an event since `start_at`, into the online store.

    What the store holds of these keys is replaced, be it newer or not. The caller holds the writer lock: Feast
    notes the window in the registry.
    """
    if end_at < start_at:
        raise BadData(f"a window must end after it starts, found {start_at} to {end_at}")
    with translate_errors(), redirect_stdout(StringIO()):
        open_store(lake).materialize(start_at, end_at)


def read_online_state(connection: "duckdb.DuckDBPyConnection") -> OnlineState | None:
    """What the online store holds, from the ledger; None if it was never filled."""
    row = connection.execute(
        "select data_version, until_at from ops.runs where kind = 'online' and outcome = 'done' "
        # A lake that was migrated has another store, which holds nothing yet.
        "and ended_at >= coalesce((select max(ended_at) from ops.runs where kind = 'migrate'), ended_at) "
        "order by until_at desc, data_version desc limit 1"
    ).fetchone()
    return OnlineState(*row) if row else None


class OnlineReader:
    """The features of a service's online views, read as requests do: Feast's store is opened once.

    For one thread at a time. It knows the definitions as they were when it was made.

    Raises
    ------
    BadData
        If there is no such service.
    Unavailable
        If the definitions were never applied to this lake.
    """

    def __init__(self, lake: Lake, service: str) -> None:
        with translate_errors():
            self._store = open_store(lake)
            found = read_service(self._store, service).feature_view_projections
            projections = [one for one in found if _is_online(self._store, one)]
            views = [self._store.get_feature_view(one.name) for one in projections]
        self._names = [f"{one.name}:{feature.name}" for one in projections for feature in one.features]
        self._ages = {age for view in views if (age := read_source(view).age_column)}
        self.keys: Final = frozenset(key for view in views for key in view.join_keys)

    def read(self, keys: Sequence[Mapping[str, str | None]], *, at: datetime) -> list[dict[str, Any]]:
        """Features for some keys, in their order, as a request at an instant sees them.

        Parameters
        ----------
        keys
            Join keys of the views by name; a null, or a key that the store does not hold, gives nulls.
        at
            For the age of the values; the values themselves are those of the last filling.
        """
        if not self._names or not keys:
            return [{} for _ in keys]
        rows = [{key: one.get(key) or "" for key in self.keys} for one in keys]
        with translate_errors():
            response = self._store.get_online_features(features=self._names, entity_rows=rows).proto
        columns = dict(zip(response.metadata.feature_names.val, response.results, strict=True))
        return [dict(_read_row(columns, self.keys, self._ages, index, at)) for index in range(len(rows))]


def read_online(
    lake: Lake, service: str, keys: Sequence[Mapping[str, str | None]], *, at: datetime
) -> list[dict[str, Any]]:
    """Features of a service's online views for some keys, once: see `OnlineReader`."""
    return OnlineReader(lake, service).read(keys, at=at)


def _read_row(
    columns: Mapping[str, Any], joined: Collection[str], ages: Collection[str], index: int, at: datetime
) -> Iterator[tuple[str, Any]]:
    for name, column in columns.items():
        if name in joined:
            continue
        kind = column.values[index].WhichOneof("val")
        value = getattr(column.values[index], kind) if kind else None
        if name in ages and value is not None:
            # What the store holds was true when it was filled.
            event_at = column.event_timestamps[index].ToDatetime(tzinfo=UTC)
            value = (at - event_at) / _HOUR
        yield name, value


def _is_online(store: "FeatureStore", projection: "FeatureViewProjection") -> bool:
    return bool(store.get_feature_view(projection.name).online)


def _read_earliest(
    connection: "duckdb.DuckDBPyConnection", table: str, before: OnlineState | None, end_at: datetime
) -> datetime | None:
    sql = _EARLIEST.read_text(encoding="utf-8").format(table=quote_name(table))
    state = before or _NOTHING_HELD
    row = connection.execute(
        sql, {"data_version": state.data_version, "filled_at": state.filled_at, "end_at": end_at}
    ).fetchone()
    return row[0] if row else None


def _build_run(run_id: str, now: datetime, end_at: datetime, *, data_version: int, seconds: float) -> Run:
    return Run(
        run_id=run_id,
        kind="online",
        started_at=now,
        ended_at=now + timedelta(seconds=seconds),
        data_version=data_version,
        until_at=end_at,
        stage_seconds={"fill": seconds},
    )
