"""The lake as Feast's offline store: Feast's views and sources, translated into lookups in the lake.

Which row is the value at an instant is decided in `point_in_time`; which features exist, in `definitions`; how
the rest of the system asks for them, in `retrieval`; how a planned query runs, in `retrieval_job`.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.offline_store import OfflineStore
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import compute_non_entity_date_range
from pydantic import Field, field_validator

from feature_repo.errors import BadData
from feature_repo.event_spine import build_event_spine
from feature_repo.history import History, Spine, Window
from feature_repo.lake import Lake, quote_name, quote_text
from feature_repo.offline_source import check_source, read_columns, read_home
from feature_repo.point_in_time import build_chunked_lookup, build_latest, build_lookup, build_range
from feature_repo.pushing import Target, append_rows
from feature_repo.retrieval_job import FRAME, DuckLakeRetrievalJob, Lookup
from feature_repo.saved_dataset import SavedDatasetSource

if TYPE_CHECKING:
    import pandas as pd
    from feast.data_source import DataSource
    from feast.feature_view import FeatureView
    from feast.infra.registry.base_registry import BaseRegistry

_INDEX: Final = "__index_level_"  # what Arrow calls a frame's index that is not its row numbers


class DuckLakeOfflineStoreConfig(FeastConfigBaseModel):
    """Where the store reads, and as of which data version.

    Parameters
    ----------
    home
        Absolute path of the lake's home.
    data_version
        Rows of later batches are not there; None: all rows are. It can be read however long ago it was.
    snapshot
        Id of the snapshot of the lake as of which feature tables are read, while it is kept; None: the newest.
        What the SQL of a spine reads is its own affair.
    window
        What is promised of spines, see `Window`; the query of a retrieval rests on it, reading one in chunks does not.
    memory_limit
        DuckDB's memory limit per connection, such as "4GB"; DuckDB's default if None.
    lake
        The lake itself, where a home alone does not say how to open it: with a catalog or files elsewhere.
    """

    type: Literal["feature_repo.offline_store.DuckLakeOfflineStore"] = "feature_repo.offline_store.DuckLakeOfflineStore"
    home: Path
    data_version: int | None = None
    snapshot: int | None = None
    window: Window | None = None
    memory_limit: str | None = None
    lake: Lake | None = Field(None, repr=False)

    @field_validator("home")
    @classmethod
    def _check_absolute(cls, home: Path) -> Path:
        if not home.is_absolute():
            raise BadData(
                f"SCORELAKE_HOME must be set to an absolute path, found {str(home)!r}; "
                "set it, or run `scorelake apply`, which does"
            )
        return home


class DuckLakeOfflineStore(OfflineStore):
    """Point-in-time reads from the lake, for training, batch scoring and the online store; and pushes into it."""

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
            The spine: a frame, whose naive instants are UTC, or trusted SQL that runs on the lake. None: every key
            and event of the views within the window, see `build_event_spine`.
        filter_by_created_timestamp
            Whether a value counts only from the instant it was knowable (created); if not, from its event on.
        window
            Without a spine: `start_date` and `end_date`, both inclusive, UTC if naive. As with Feast's own stores,
            the window starts at the longest ttl before its end, or 30 days if there is none, and ends now.
        """
        lake, state = read_home(config), {"data_version": config.offline_store.data_version}
        histories = [
            _build_history(view, feature_refs, config, full_names=full_feature_names) for view in feature_views
        ]
        frame = None
        if entity_df is None:
            dates = (window.get("start_date"), window.get("end_date"))
            first, last = compute_non_entity_date_range(feature_views, *dates)
            spine = build_event_spine(histories, first=first, last=last, **state)
        else:
            spine, frame = _read_spine(lake, entity_df)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        _check_request(spine, on_demand)
        lookup = Lookup(
            spine=spine,
            frame=frame,
            statements=build_chunked_lookup(spine, histories, is_cut_off=filter_by_created_timestamp, **state),
            features=tuple(feature_refs),
            full_feature_names=full_feature_names,
            on_demand_feature_views=tuple(on_demand),
        )
        promised = config.offline_store.window
        sql = build_lookup(spine, histories, is_cut_off=filter_by_created_timestamp, window=promised, **state)
        return DuckLakeRetrievalJob(lake, sql, lookup)

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
        history = _name_columns(config, data_source, *columns)
        sql = build_latest(history, first=start_date, last=end_date, data_version=version)
        return DuckLakeRetrievalJob(read_home(config), _add_dummy(sql, join_key_columns))

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
        """Every row with an event from `start_date` to `end_date`, see `build_range`; a saved dataset always whole."""
        lake = read_home(config)
        if isinstance(data_source, SavedDatasetSource):
            return DuckLakeRetrievalJob(lake, data_source.build_query(lake))
        columns = (join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column)
        version = config.offline_store.data_version
        history = _name_columns(config, data_source, *columns)
        sql = build_range(history, first=start_date, last=end_date, data_version=version)
        return DuckLakeRetrievalJob(lake, _add_dummy(sql, join_key_columns))

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: "FeatureView",
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to the table behind a view, as a batch of their own; see `append_rows`.

        Columns are named as in the table or as the source maps them. An age is computed, so it is not kept.
        """
        source = check_source(feature_view.batch_source)
        inside = _invert(source.field_mapping)
        rows = table.rename_columns([inside.get(name, name) for name in table.column_names])
        unkept = [name for name in rows.column_names if name == source.age_column or name.startswith(_INDEX)]
        keys = [inside.get(key, key) for key in _list_keys(feature_view)]
        event = inside.get(source.timestamp_field, source.timestamp_field)
        target = Target(source.table, source.version_column, required=(*keys, event))
        append_rows(read_home(config), target, rows.drop_columns(unkept))
        if progress:
            progress(table.num_rows)


def _build_history(view: "FeatureView", references: Iterable[str], config: RepoConfig, *, full_names: bool) -> History:
    source = check_source(view.batch_source)
    inside = _invert(source.field_mapping)
    name: str = view.projection.name_to_use()  # type: ignore[no-untyped-call]  # Feast leaves it so
    features = [found.removeprefix(f"{name}:") for found in references if found.startswith(f"{name}:")]
    prefix = f"{view.projection.name_alias or view.name}__" if full_names else ""
    return History(
        name=name,
        table=source.table,
        keys={inside.get(key, key): view.projection.join_key_map.get(key, key) for key in _list_keys(view)},
        features={inside.get(feature, feature): prefix + feature for feature in features},
        event=inside.get(source.timestamp_field, source.timestamp_field),
        created=inside.get(source.created_timestamp_column, source.created_timestamp_column) or None,
        version=source.version_column,
        ttl=view.ttl or timedelta(0),
        age=source.age_column,
        snapshot=config.offline_store.snapshot,
        is_single_event=source.is_single_event,
    )


def _name_columns(
    config: RepoConfig,
    data_source: "DataSource",
    keys: list[str],
    features: list[str],
    event: str,
    created: str | None,
) -> History:
    source = check_source(data_source)
    return History(
        name=source.name,
        table=source.table,
        keys={key: key for key in keys},
        features={feature: feature for feature in features},
        event=event,
        created=created or None,
        version=source.version_column,
        age=source.age_column,
        snapshot=config.offline_store.snapshot,
    )


def _add_dummy(sql: str, keys: list[str]) -> str:
    """Rows without keys are given the one under which Feast keeps them online."""
    if keys:
        return sql
    return f"select *, {quote_text(DUMMY_ENTITY_VAL)} as {quote_name(DUMMY_ENTITY_ID)}\nfrom (\n{sql}\n)"


def _list_keys(view: "FeatureView") -> list[str]:
    """The view's keys; none for a view without entities, to which Feast gives one that is in no table."""
    return [key for key in view.join_keys if key != DUMMY_ENTITY_ID]


def _invert(field_mapping: dict[str, str]) -> dict[str, str]:
    return {outside: column for column, outside in field_mapping.items()}


def _read_spine(lake: Lake, entity_df: "pd.DataFrame | str") -> tuple[Spine, pa.Table | None]:
    if isinstance(entity_df, str):
        types = read_columns(lake, entity_df)
        return Spine(entity_df, tuple(types), infer_event_timestamp_from_entity_df(_as_numpy(types))), None
    # Arrow keeps a column that is all null apart; DuckDB would guess its type from the first values of the frame.
    frame = pa.Table.from_pandas(entity_df, preserve_index=False)
    instant = infer_event_timestamp_from_entity_df(dict(entity_df.dtypes))
    return Spine(f"from {FRAME}", tuple(frame.column_names), instant), frame


def _as_numpy(types: dict[str, str]) -> dict[str, np.dtype[Any]]:
    return {
        name: np.dtype("datetime64[us]" if found.startswith("timestamp") else object) for name, found in types.items()
    }


def _check_request(spine: Spine, views: Iterable[OnDemandFeatureView]) -> None:
    for view in views:
        if missing := [name for name in view.get_request_data_schema() if name not in spine.columns]:
            raise BadData(
                f"{view.name} is computed from {missing}, which the spine lacks; it has {list(spine.columns)}"
            )
