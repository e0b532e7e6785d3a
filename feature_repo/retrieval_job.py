"""A retrieval that Feast has planned and that runs when asked: as a table, a frame, batches, SQL, or a saved dataset.

What the query says is decided in `offline_store` and `point_in_time`; how a long spine is looked up in pieces, in
`chunked_lookup`; where a saved dataset lies, in `saved_dataset`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView

from feature_repo.chunked_lookup import open_lookup
from feature_repo.errors import BadData, Unavailable
from feature_repo.history import Spine
from feature_repo.lake import Lake, quote_name, read_lake
from feature_repo.point_in_time import ChunkedLookup
from feature_repo.saved_dataset import SavedDatasetDuckLakeStorage, check_free, write_dataset

if TYPE_CHECKING:
    import pandas as pd
    from feast.saved_dataset import SavedDatasetStorage

ROWS_PER_BATCH: Final = 100_000
FRAME: Final = "entity_df"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was asked for a spine.

    Parameters
    ----------
    spine
        The rows that are looked up.
    frame
        The table that the spine reads as `entity_df`; None if it is SQL.
    statements
        The same lookup as the job's query, piece by piece.
    features
        References of the features, as Feast writes them.
    full_feature_names
        Whether a feature's column is called `<view>__<feature>`.
    on_demand_feature_views
        Views that Feast computes from the result.
    """

    spine: Spine
    frame: pa.Table | None
    statements: ChunkedLookup
    features: tuple[str, ...]
    full_feature_names: bool
    on_demand_feature_views: tuple[OnDemandFeatureView, ...]

    @property
    def frames(self) -> dict[str, pa.Table]:
        """The tables that the spine reads, by name."""
        return {} if self.frame is None else {FRAME: self.frame}


class DuckLakeRetrievalJob(RetrievalJob):
    """A query on the lake that has not run yet; each `to_...` runs it on a connection of its own.

    `lookup` tells what it answers; None for rows that are read as they are, of which Feast asks nothing more.
    """

    def __init__(self, lake: Lake, sql: str, lookup: Lookup | None = None) -> None:
        self._lake = lake
        self._sql = sql
        self._lookup = lookup

    @property
    def full_feature_names(self) -> bool:
        """Whether a feature's column is called `<view>__<feature>`."""
        return self._lookup is not None and self._lookup.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes from the result; `to_sql` and `to_record_batches` come before them."""
        return list(self._lookup.on_demand_feature_views) if self._lookup else []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """References of the features, and of the spine its other columns and its range; None if there is no spine."""
        if self._lookup is None:
            return None
        spine = self._lookup.spine
        first, last = self._read_range(self._lookup)
        keys = [column for column in spine.columns if column != spine.instant]
        return RetrievalMetadata(list(self._lookup.features), keys, first, last)

    def to_sql(self) -> str:
        """The query; it runs on any connection of `read_lake`, where a spine given as a frame is `entity_df`."""
        return self._sql

    def to_record_batches(self, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[pa.RecordBatch]:
        """Stream the result, in order; the lake stays open for reading until the last batch is taken."""
        with self._open_reader(rows_per_batch) as reader:
            yield from reader

    def persist(
        self,
        storage: "SavedDatasetStorage",
        allow_overwrite: bool = False,  # noqa: FBT001, FBT002 - Feast's interface
        timeout: int | None = None,
    ) -> None:
        """Keep the result, values of on-demand views included, as a saved dataset of the lake.

        Raises
        ------
        BadData
            If the storage is of another kind, or the result has no row with an instant: Feast cannot keep that.
        Refused
            If there is a dataset of that name already and it may not be overwritten.
        """
        if not isinstance(storage, SavedDatasetDuckLakeStorage):
            raise BadData(
                f"this store keeps datasets below the lake's home, found a {type(storage).__name__}; "
                "use SavedDatasetDuckLakeStorage"
            )
        path = storage.to_data_source().locate(self._lake)
        check_free(path, allow_overwrite=allow_overwrite)
        if self._lookup and self._read_range(self._lookup) == (None, None):
            raise BadData("a saved dataset needs a row with an instant, found none in the spine; nothing was kept")
        # On-demand views are computed by Feast, of a whole table.
        whole = self.to_arrow(timeout=timeout).to_reader() if self.on_demand_feature_views else None
        with nullcontext(whole) if whole else self._open_reader() as reader:
            write_dataset(self._lake, path, reader, allow_overwrite=allow_overwrite)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's interface
        with self._open_reader() as reader:
            return reader.read_all()

    def _to_df_internal(self, timeout: int | None = None) -> "pd.DataFrame":
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    def _read_range(self, lookup: Lookup) -> tuple[datetime | None, datetime | None]:
        """First and last instant of the spine, None for both if it has none."""
        instant = quote_name(lookup.spine.instant)
        sql = f"select min({instant}), max({instant}) from (\n{lookup.statements.read}\n)"  # noqa: S608 - trusted
        with _translate_errors(self._lake), read_lake(self._lake) as connection:
            for name, frame in lookup.frames.items():
                connection.register(name, frame)
            first, last = connection.execute(sql).fetchall()[0]
        return first, last

    @contextmanager
    def _open_reader(self, rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[pa.RecordBatchReader]:
        with _translate_errors(self._lake):
            if self._lookup:
                statements, frames = self._lookup.statements, self._lookup.frames
                with open_lookup(self._lake, statements, frames=frames, rows_per_batch=rows_per_batch) as reader:
                    yield reader
            else:
                with read_lake(self._lake) as connection:
                    yield connection.execute(self._sql).to_arrow_reader(rows_per_batch)


@contextmanager
def _translate_errors(lake: Lake) -> Iterator[None]:
    try:
        yield
    except duckdb.InvalidInputException as error:
        if "snapshot" not in str(error):
            raise
        raise BadData(
            f"{error}: it expired, or never was; kept are some of {_read_kept(lake)}. "
            "Read as of a data version: that does not expire"
        ) from error
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise BadData(
            "the lake lacks what is asked for; run `scorelake apply`, or ask for a snapshot that is not older "
            f"than the table and its columns: {error}"
        ) from error
    except duckdb.ConversionException as error:
        raise BadData(f"the spine's types do not fit those of the lake's tables: {error}") from error
    except duckdb.IOException as error:
        raise Unavailable(f"a file could not be read; try again: {error}") from error


def _read_kept(lake: Lake) -> str:
    with read_lake(lake) as connection:
        found = connection.execute("select min(snapshot_id), max(snapshot_id) from lake.snapshots()").fetchall()[0]
    return " to ".join(map(str, found))
