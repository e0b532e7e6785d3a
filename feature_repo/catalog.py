"""What features there are, for people: services, views, features with their meaning, freshness and null shares.

Names and words come from Feast's registry, figures from the lake. What a feature is belongs in `definitions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from feature_repo.lake import Lake, quote_name, read_lake
from feature_repo.retrieval import open_store, read_source, translate_errors

if TYPE_CHECKING:
    import duckdb
    from feast import FeatureService, FeatureView


@dataclass(frozen=True, slots=True)
class FeatureEntry:
    """One feature: its type, its meaning, the services that use it, and its nulls among the rows, 0 to 1.

    The null share of an age is null: it is not stored.
    """

    view: str
    name: str
    type: str
    description: str
    services: tuple[str, ...]
    null_share: float | None


@dataclass(frozen=True, slots=True)
class ViewEntry:
    """One feature view: its table, keys and rows, and the newest instant it describes; None while it is empty."""

    name: str
    table: str
    keys: tuple[str, ...]
    is_online: bool
    description: str
    rows: int
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that can be asked of the feature store."""

    services: tuple[tuple[str, str, int], ...]
    views: tuple[ViewEntry, ...]
    features: tuple[FeatureEntry, ...]


def read_catalog(lake: Lake) -> Catalog:
    """What is registered, beside what is in the lake; services as (name, description, features).

    Raises
    ------
    Unavailable
        If the definitions were never applied to this lake.
    """
    with translate_errors():
        store = open_store(lake)
        services = sorted(store.list_feature_services(), key=lambda one: str(one.name))
        views = sorted(store.list_feature_views(), key=lambda one: str(one.name))
    users = _find_users(services)
    with read_lake(lake) as connection:
        entries = [_describe_view(connection, view) for view in views]
        features = [feature for view in views for feature in _describe_features(connection, view, users)]
    counted = tuple(
        (one.name, one.description, sum(len(view.features) for view in one.feature_view_projections))
        for one in services
    )
    return Catalog(counted, tuple(entries), tuple(features))


def _find_users(services: Sequence["FeatureService"]) -> dict[tuple[str, str], list[str]]:
    """Names of the services that use a feature, by view and feature."""
    users: dict[tuple[str, str], list[str]] = {}
    for service in services:
        for view in service.feature_view_projections:
            for feature in view.features:
                users.setdefault((view.name, feature.name), []).append(service.name)
    return users


def _describe_view(connection: "duckdb.DuckDBPyConnection", view: "FeatureView") -> ViewEntry:
    source = read_source(view)
    table, instant = quote_name(source.table), quote_name(source.timestamp_field)
    row = connection.execute(f"select count(*), max({instant}) from {table}").fetchone()  # noqa: S608 - quoted names
    rows, newest_at = row or (0, None)
    keys = tuple(view.join_keys)
    return ViewEntry(view.name, source.table, keys, bool(view.online), view.description, int(rows), newest_at)


def _describe_features(
    connection: "duckdb.DuckDBPyConnection", view: "FeatureView", users: dict[tuple[str, str], list[str]]
) -> list[FeatureEntry]:
    source = read_source(view)
    stored = [feature.name for feature in view.features if feature.name != source.age_column]
    shares = dict(zip(stored, _read_null_shares(connection, source.table, stored), strict=True))
    return [
        FeatureEntry(
            view.name,
            feature.name,
            str(feature.dtype),
            feature.description,
            tuple(users.get((view.name, feature.name), ())),
            shares.get(feature.name),
        )
        for feature in view.features
    ]


def _read_null_shares(
    connection: "duckdb.DuckDBPyConnection", table: str, names: Sequence[str]
) -> tuple[float | None, ...]:
    columns = ", ".join(f"1 - count({quote_name(name)}) / nullif(count(*), 0)" for name in names)
    row = connection.execute(f"select {columns} from {quote_name(table)}").fetchone()  # noqa: S608 - quoted names
    return row or ()
