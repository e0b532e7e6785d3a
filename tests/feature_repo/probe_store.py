"""A small store for tests of the plug-in: one table of counts by channel in a real lake, with a real Feast registry."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, RepoConfig
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.types import Float64, Int64
from feast.value_type import ValueType

from feature_repo.lake import Lake, write_lake
from feature_repo.offline_source import DuckLakeSource
from feature_repo.retrieval_job import DuckLakeRetrievalJob

TYPE = "feature_repo.offline_store.DuckLakeOfflineStore"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{clock}+00:00")


# channel, event, created, batch, comments of the day
HISTORY = [
    ("a", at("10:00"), at("10:00"), 1, 10),
    ("a", at("11:00"), at("11:00"), 1, 11),
    ("a", at("10:00"), at("11:30"), 2, 12),  # a correction that was overtaken before it was known
    ("a", at("11:00"), at("11:00"), 3, 13),  # replaces the second row: the same instants, a later batch
    ("b", at("10:00"), None, 1, 20),
    ("b", at("12:00"), at("13:00"), 1, 22),  # known an hour late
]

channel = Entity(name="channel", join_keys=["channel_id"], value_type=ValueType.STRING)
source = DuckLakeSource(
    table="features.counts",
    name="daily",
    age_column="age",
    field_mapping={"n_1d": "daily_count", "n_7d": "weekly_count", "age": "count_age_hours"},
    description="Counts by day.",
    tags={"team": "one"},
    owner="someone",
)


def build_view(name: str, ttl: timedelta) -> FeatureView:
    schema = [
        Field(name="daily_count", dtype=Int64),
        Field(name="count_age_hours", dtype=Float64),
        Field(name="weekly_count", dtype=Int64),
    ]
    return FeatureView(name=name, entities=[channel], schema=schema, source=source, ttl=ttl)


counts = build_view("counts", timedelta(0))
fresh_counts = build_view("fresh_counts", timedelta(hours=1))
both_sides = FeatureService(
    name="both_sides",
    features=[
        counts[["daily_count", "count_age_hours"]].with_name("host").with_join_key_map({"channel_id": "host_id"}),
        counts[["daily_count"]].with_name("guest").with_join_key_map({"channel_id": "guest_id"}),
    ],
)


def open_store(lake: Lake, **overrides: Any) -> FeatureStore:
    feast = lake.home / "feast"
    feast.mkdir(exist_ok=True)
    return FeatureStore(
        config=RepoConfig(
            project="probe",
            provider="local",
            registry=str(feast / "registry.db"),
            offline_store={"type": TYPE, "home": lake.home, **overrides},
            online_store={"type": "sqlite", "path": str(feast / "online.db")},
            materialization={"pull_latest_features": True},  # as in feature_store.yaml
            entity_key_serialization_version=3,
        )
    )


def fill_counts(lake: Lake) -> None:
    """Make the table of counts and register its views; the batches of its rows are in the ledger of nobody."""
    with write_lake(lake, purpose="a test") as connection:
        connection.execute(
            "create table features.counts (channel_id varchar, event_timestamp timestamptz, "
            "created_timestamp timestamptz, ingest_seq bigint, n_1d bigint, n_7d bigint)"
        )
        connection.executemany("insert into features.counts values (?, ?, ?, ?, ?, null)", HISTORY)
    open_store(lake).apply([channel, source, counts, fresh_counts, both_sides])


def build_spine(*rows: tuple[str | None, datetime | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "channel_id": [row[0] for row in rows],
            "event_timestamp": pd.to_datetime(pd.Series([row[1] for row in rows], dtype="object"), utc=True),
            "number": range(len(rows)),
        }
    )


def ask(store: FeatureStore, entity_df: Any, *features: str, **options: Any) -> DuckLakeRetrievalJob:
    options = {"filter_by_created_timestamp": True} | options
    job = store.get_historical_features(
        entity_df=entity_df, features=list(features) or ["counts:daily_count"], **options
    )
    assert isinstance(job, DuckLakeRetrievalJob)
    return job


def read_values(job: RetrievalJob, column: str = "daily_count") -> list[Any]:
    return list(job.to_arrow()[column].to_pylist())
