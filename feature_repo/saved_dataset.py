"""Saved datasets: results of a retrieval that stay as they are, one Parquet file each below the lake's home.

Which results are kept, and under which name in Feast's registry, is the caller's; what a feature was at an instant
belongs in `point_in_time`. A dataset is a copy: what is erased from the lake stays in it until it is erased, too.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.protos.feast.core.SavedDataset_pb2 import SavedDatasetStorage as SavedDatasetStorageProto
from feast.saved_dataset import SavedDatasetStorage

from feature_repo.errors import BadData, Refused
from feature_repo.lake import Lake, quote_text
from feature_repo.offline_source import read_columns, read_home, read_value_type

if TYPE_CHECKING:
    from feast.repo_config import RepoConfig
    from feast.value_type import ValueType

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


class SavedDatasetSource(DataSource):
    """A saved dataset as Feast reads it back: always whole, with every column it was kept with.

    Parameters
    ----------
    name
        Name of the dataset: lower-case letters, digits, `_` and `-`.
    """

    def __init__(self, *, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise BadData(
                "a dataset's name is up to 100 lower-case letters, digits, _ and -, and begins with a letter or digit, "
                f"found {name!r}"
            )
        super().__init__(name=name, timestamp_field="event_timestamp")

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> "SavedDatasetSource":
        """Read the source back from the registry."""
        return SavedDatasetSource(name=data_source.name)

    def _to_proto_impl(self) -> DataSourceProto:
        return DataSourceProto(
            name=self.name,
            type=self.source_type(),
            data_source_class_type=f"{__name__}.{SavedDatasetSource.__name__}",
            timestamp_field=self.timestamp_field,
        )

    def locate(self, lake: Lake) -> Path:
        """Where the dataset lies, or would."""
        return lake.home / "datasets" / f"{self.name}.parquet"

    def build_query(self, lake: Lake) -> str:
        """The query for all of the dataset, in the order in which it was kept.

        Raises
        ------
        BadData
            If there is no such dataset in this lake.
        """
        path = self.locate(lake)
        if not path.exists():
            raise BadData(f"no saved dataset {self.name!r} at {path}; it was deleted, or saved in another lake")
        return f"from read_parquet({quote_text(str(path))})"

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        """The kind under which the registry keeps sources that Feast does not ship."""
        return DataSourceProto.CUSTOM_SOURCE

    def get_table_column_names_and_types(self, config: "RepoConfig") -> Iterable[tuple[str, str]]:
        """Name and DuckDB type of each column of the dataset, in order."""
        lake = read_home(config)
        return read_columns(lake, self.build_query(lake)).items()

    def validate(self, config: "RepoConfig") -> None:
        """Check that the dataset is there; raises `BadData` if not."""
        self.build_query(read_home(config))

    @staticmethod
    def source_datatype_to_feast_value_type() -> "Callable[[str], ValueType]":
        """The function that maps a DuckDB type to Feast's."""
        return read_value_type


@dataclass(frozen=True)
class SavedDatasetDuckLakeStorage(SavedDatasetStorage):
    """Where `FeatureStore.create_saved_dataset` keeps a result: in the lake's home, under a name.

    Parameters
    ----------
    name
        Name of the dataset: lower-case letters, digits, `_` and `-`.
    """

    name: str

    _proto_attr_name = "custom_storage"  # the registry's field for storages that Feast does not ship

    def __post_init__(self) -> None:
        self.to_data_source()  # checks the name

    @staticmethod
    def from_proto(storage_proto: SavedDatasetStorageProto) -> "SavedDatasetDuckLakeStorage":
        """Read the storage back from the registry."""
        options: dict[str, Any] = json.loads(storage_proto.custom_storage.configuration)
        return SavedDatasetDuckLakeStorage(name=options["name"])

    def to_proto(self) -> SavedDatasetStorageProto:
        """What the registry keeps."""
        options = json.dumps({"name": self.name}).encode()
        return self._custom_storage_proto(DataSourceProto.CustomSourceOptions(configuration=options))

    def to_data_source(self) -> SavedDatasetSource:
        """The source from which Feast reads the dataset."""
        return SavedDatasetSource(name=self.name)


def check_free(path: Path, *, allow_overwrite: bool) -> None:
    """Check that a dataset may be written; raises `Refused` if there is one that may not be overwritten."""
    if path.exists() and not allow_overwrite:
        raise Refused(f"there is a saved dataset at {path}; it stays. Choose another name, or allow_overwrite=True")


def write_dataset(lake: Lake, path: Path, batches: pa.RecordBatchReader, *, allow_overwrite: bool) -> None:
    """Write a dataset as zstd Parquet in the order of its batches; it appears whole, or not at all.

    Raises
    ------
    Refused
        If another process has written it meanwhile and it may not be overwritten.
    """
    for folder in (lake.staging, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=lake.staging, prefix="dataset-") as staging:
        staged = Path(staging) / path.name
        with pq.ParquetWriter(staged, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        _publish(staged, path, allow_overwrite=allow_overwrite)


def _publish(staged: Path, path: Path, *, allow_overwrite: bool) -> None:
    if allow_overwrite:
        staged.replace(path)
        return
    try:
        path.hardlink_to(staged)  # unlike a rename, it fails if there is a file already
    except FileExistsError:
        check_free(path, allow_overwrite=False)
        raise
