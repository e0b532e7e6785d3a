"""The lake as Feast's offline store: Feast's views and sources, translated into lookups in the lake.

Which row is the value at an instant is decided in `point_in_time`; which features exist, in `definitions`; how
the rest of the system asks for them, in `retrieval`. It writes nothing: features are computed elsewhere.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import field_validator

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.offline_source import DuckLakeSource, read_columns, read_home
from feature_repo.point_in_time import History, Spine, build_latest, build_lookup, build_range

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    from feast.data_source import DataSource
    from feast.feature_view import FeatureView
    from feast.infra.registry.base_registry import BaseRegistry

ROWS_PER_BATCH: Final = 100_000
_FRAME: Final = "entity_df"


class DuckLakeOfflineStoreConfig(FeastConfigBaseModel):
    """Where the store reads, and as of which data version.

    Parameters
    ----------
    home
        Absolute path of the lake's home.
    data_version
        Rows of later batches are not there; None: all rows are.
    memory_limit
        DuckDB's memory limit per connection, such as "4GB"; DuckDB's default if None.
    """

    type: Literal["feature_repo.offline_store.DuckLakeOfflineStore"] = "feature_repo.offline_store.DuckLakeOfflineStore"
    home: Path
    data_version: int | None = None
    memory_limit: str | None = None

    @field_validator("home")
    @classmethod
    def _check_absolute(cls, home: Path) -> Path:
        if not home.is_absolute():
            raise BadData(
                f"SCORELAKE_HOME must be set to an absolute path, found {str(home)!r}; "
                "set it, or run `scorelake apply`, which does"
            )
        return home


class DuckLakeRetrievalJob(RetrievalJob):
    """A query on the lake that has not run yet; each `to_...` runs it on a connection of its own."""

    def __init__(
        self,
        lake: Lake,
        sql: str,
        *,
        frame: pa.Table | None = None,
        metadata: RetrievalMetadata | None = None,
        full_feature_names: bool = False,
        on_demand_feature_views: Iterable[OnDemandFeatureView] = (),
    ) -> None:
        self._lake = lake
        self._sql = sql
        self._frame = frame
        self._metadata = metadata
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)

    @property
    def full_feature_names(self) -> bool:
        """Whether a feature's column is called `<view>__<feature>`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes from the result; `to_sql` and `to_record_batches` come before them."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """References of the features, keys of the spine, and its range if it is a frame."""
        return self._metadata

    def to_sql(self) -> str:
        """The query; it runs on any connection of `read_lake`, where a spine given as a frame is `entity_df`."""
        return self._sql

    def to_record_batches(self, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[pa.RecordBatch]:
        """Stream the result, in order; the lake stays open for reading until the last batch is taken."""
        with self._run() as result:
            yield from result.to_arrow_reader(rows_per_batch)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's interface
        with self._run() as result:
            return result.to_arrow_table()

    def _to_df_internal(self, timeout: int | None = None) -> "pd.DataFrame":
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    @contextmanager
    def _run(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        with read_lake(self._lake) as connection:
            if self._frame is not None:
                connection.register(_FRAME, self._frame)
            yield connection.execute(self._sql)


class DuckLakeOfflineStore(OfflineStore):
    """Point-in-time reads from the lake, for training, batch scoring and the online store."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(  # noqa: PLR0913, PLR0917 - Feast's interface
        config: RepoConfig,
        feature_views: "list[FeatureView]",
        feature_refs: list[str],
        entity_df: "pd.DataFrame | str | None",
        registry: "BaseRegistry",
        project: str,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002 - Feast's interface
        filter_by_created_timestamp: bool = False,  # noqa: FBT001, FBT002 - Feast's interface
        **window: datetime,
    ) -> DuckLakeRetrievalJob:
        """The spine's columns and the features, one row per spine row, in the spine's order.

        Parameters
        ----------
        entity_df
            The spine: a frame, whose naive instants are UTC, or trusted SQL that runs on the lake.
        filter_by_created_timestamp
            Whether a value counts only from the instant it was knowable (created); if not, from its event on.
        """
        if entity_df is None:
            raise BadData(f"features are looked up for the rows of a spine, found only {window}; pass entity_df")
        lake = read_home(config)
        spine, frame = _read_spine(lake, entity_df)
        sql = build_lookup(
            spine,
            [_build_history(view, feature_refs, full_names=full_feature_names) for view in feature_views],
            data_version=config.offline_store.data_version,
            is_cut_off=filter_by_created_timestamp,
        )
        return DuckLakeRetrievalJob(
            lake,
            sql,
            frame=frame,
            metadata=_describe(spine, frame, feature_refs),
            full_feature_names=full_feature_names,
            on_demand_feature_views=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
        )

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0913, PLR0917 - Feast's interface
        config: RepoConfig,
        data_source: "DataSource",
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> DuckLakeRetrievalJob:
        """The value at `end_date` of each key with an event since `start_date`; see `build_latest`."""
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        version = config.offline_store.data_version
        history = _name_columns(data_source, *columns)
        sql = build_latest(history, first=start_date, last=end_date, data_version=version)
        return DuckLakeRetrievalJob(read_home(config), sql)

    @staticmethod
    def pull_all_from_table_or_query(  # noqa: PLR0913, PLR0917 - Feast's interface
        config: RepoConfig,
        data_source: "DataSource",
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> DuckLakeRetrievalJob:
        """Every row with an event from `start_date` to `end_date`; see `build_range`."""
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        version = config.offline_store.data_version
        history = _name_columns(data_source, *columns)
        sql = build_range(history, first=start_date, last=end_date, data_version=version)
        return DuckLakeRetrievalJob(read_home(config), sql)


def _build_history(view: "FeatureView", references: Iterable[str], *, full_names: bool) -> History:
    source = _check_source(view.batch_source)
    inside = {outside: column for column, outside in source.field_mapping.items()}
    name: str = view.projection.name_to_use()  # type: ignore[no-untyped-call]  # Feast leaves it so
    features = [found.removeprefix(f"{name}:") for found in references if found.startswith(f"{name}:")]
    prefix = f"{view.projection.name_alias or view.name}__" if full_names else ""
    return History(
        name=name,
        table=source.table,
        keys={inside.get(key, key): view.projection.join_key_map.get(key, key) for key in view.join_keys},
        features={inside.get(feature, feature): prefix + feature for feature in features},
        event=inside.get(source.timestamp_field, source.timestamp_field),
        created=inside.get(source.created_timestamp_column, source.created_timestamp_column) or None,
        version=source.version_column,
        ttl=view.ttl or timedelta(0),
    )


def _name_columns(
    data_source: "DataSource", keys: list[str], features: list[str], event: str, created: str | None
) -> History:
    source = _check_source(data_source)
    return History(
        name=source.name,
        table=source.table,
        keys={key: key for key in keys},
        features={feature: feature for feature in features},
        event=event,
        created=created or None,
        version=source.version_column,
    )


def _read_spine(lake: Lake, entity_df: "pd.DataFrame | str") -> tuple[Spine, pa.Table | None]:
    if isinstance(entity_df, str):
        types = read_columns(lake, entity_df)
        return Spine(entity_df, tuple(types), infer_event_timestamp_from_entity_df(_as_numpy(types))), None
    # Arrow keeps a column that is all null apart; DuckDB would guess its type from the first values of the frame.
    frame = pa.Table.from_pandas(entity_df, preserve_index=False)
    instant = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
    return Spine(f"from {_FRAME}", tuple(frame.column_names), instant), frame


def _as_numpy(types: dict[str, str]) -> dict[str, np.dtype[Any]]:
    return {
        name: np.dtype("datetime64[us]" if found.startswith("timestamp") else object) for name, found in types.items()
    }


def _describe(spine: Spine, frame: pa.Table | None, references: list[str]) -> RetrievalMetadata:
    bounds = pc.min_max(frame[spine.instant]).as_py() if frame is not None else {"min": None, "max": None}
    return RetrievalMetadata(
        features=references,
        keys=[column for column in spine.columns if column != spine.instant],
        min_event_timestamp=bounds["min"],
        max_event_timestamp=bounds["max"],
    )


def _check_source(source: Any) -> DuckLakeSource:
    if not isinstance(source, DuckLakeSource):
        raise BadData(f"this store reads tables of the lake, found a {type(source).__name__}; use DuckLakeSource")
    return source
