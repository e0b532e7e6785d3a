"""A lake table as Feast knows it: its name, its time columns, its types, and how the registry stores it.

What is read from such a table, and as of when, belongs in `offline_store`.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.value_type import ValueType

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake

if TYPE_CHECKING:
    from feast.repo_config import RepoConfig

_VALUE_TYPES: Final = {
    "bigint": ValueType.INT64,
    "blob": ValueType.BYTES,
    "boolean": ValueType.BOOL,
    "double": ValueType.DOUBLE,
    "float": ValueType.FLOAT,
    "integer": ValueType.INT32,
    "timestamptz": ValueType.UNIX_TIMESTAMP,
    "uinteger": ValueType.INT64,  # Feast knows no unsigned type; this is the smallest that holds it
    "varchar": ValueType.STRING,
    "bigint[]": ValueType.INT64_LIST,
    "boolean[]": ValueType.BOOL_LIST,
    "double[]": ValueType.DOUBLE_LIST,
    "float[]": ValueType.FLOAT_LIST,
    "integer[]": ValueType.INT32_LIST,
    "timestamptz[]": ValueType.UNIX_TIMESTAMP_LIST,
    "uinteger[]": ValueType.INT64_LIST,
    "varchar[]": ValueType.STRING_LIST,
}


class DuckLakeSource(DataSource):
    """A table of the lake that Feast reads features from.

    Parameters
    ----------
    table
        `schema.table`; also the source's name, unless another is declared.
    timestamp_field
        Column with the instant a row describes.
    created_timestamp_column
        Column with the instant from which a row was knowable; a null means the one it describes.
    version_column
        Column with the number of the batch that brought the row: the rows of data version S are those up to S,
        and of two rows with the same instants the one with the greater number counts.
    age_column
        Name of one more column, which the table does not have: hours (double) from a row's event to the instant
        it is looked up for; in the online store, to the end of the window that wrote it. Null where nothing was
        known. None: there is no such column.
    is_single_event
        Whether all rows of a key describe the same instant. It decides how a value is found, not which.
    declared
        What every Feast source takes: name, field_mapping, description, tags, owner.
    """

    def __init__(
        self,
        *,
        table: str,
        timestamp_field: str = "event_timestamp",
        created_timestamp_column: str = "created_timestamp",
        version_column: str = "ingest_seq",
        age_column: str | None = None,
        is_single_event: bool = False,
        **declared: Any,
    ) -> None:
        super().__init__(
            name=declared.pop("name", table),
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            **declared,
        )
        self.table = table
        self.version_column = version_column
        self.age_column = age_column
        self.is_single_event = is_single_event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DuckLakeSource) and self._to_proto_impl() == other._to_proto_impl()

    def __hash__(self) -> int:
        return hash((self.name, self.table))

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> "DuckLakeSource":
        """Read the source back from the registry."""
        return DuckLakeSource(
            **json.loads(data_source.custom_options.configuration),
            name=data_source.name,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        options = {
            "table": self.table,
            "version_column": self.version_column,
            "age_column": self.age_column,
            "is_single_event": self.is_single_event,
        }
        return DataSourceProto(
            name=self.name,
            type=self.source_type(),
            data_source_class_type=f"feature_repo.offline_source.{DuckLakeSource.__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=json.dumps(options).encode()),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            field_mapping=self.field_mapping,
            description=self.description,
            tags=self.tags,
            owner=self.owner,
        )

    def describe(self) -> dict[str, Any]:
        """All of the source that decides a value, JSON-able; words for people are left out."""
        described = {
            "table": self.table,
            "timestamp_field": self.timestamp_field,
            "created_timestamp_column": self.created_timestamp_column,
            "version_column": self.version_column,
            "field_mapping": dict(self.field_mapping),
        }
        # Left out where there is none, so that what was described before there were ages is described the same.
        return described | ({"age_column": self.age_column} if self.age_column else {})

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        """The kind under which the registry keeps sources that Feast does not ship."""
        return DataSourceProto.CUSTOM_SOURCE

    def get_table_query_string(self) -> str:
        """The table, quoted for use in SQL."""
        return quote_name(self.table)

    def get_table_column_names_and_types(self, config: "RepoConfig") -> Iterable[tuple[str, str]]:
        """Name and DuckDB type of each column in the order of the table, then the age's.

        The batch number is left out: it is neither a feature nor anybody's to write.
        """
        found = self.read_table_columns(read_home(config))
        age = {self.age_column: "double"} if self.age_column else {}
        return [(name, kind) for name, kind in (found | age).items() if name != self.version_column]

    def read_table_columns(self, lake: Lake) -> dict[str, str]:
        """Name and DuckDB type of each column that the table itself has, in its order."""
        return read_columns(lake, f"from {self.get_table_query_string()}")

    def validate(self, config: "RepoConfig") -> None:
        """Check that the table is in the lake, has the three columns that place a row in time, and none for the age."""
        found = list(self.read_table_columns(read_home(config)))
        inside = {outside: column for column, outside in self.field_mapping.items()}
        times = [inside.get(name, name) for name in (self.timestamp_field, self.created_timestamp_column) if name]
        needed = [*times, self.version_column]
        if missing := [name for name in needed if name not in found]:
            raise BadData(f"{self.table} must have the columns {needed}, but lacks {missing}; it has {found}")
        if self.age_column in found:
            raise BadData(
                f"the age of a row is computed, but {self.table} has a column {self.age_column}; name another"
            )

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """The function that maps a DuckDB type to Feast's."""
        return read_value_type


def read_value_type(sql_type: str) -> ValueType:
    """Feast's type for a DuckDB type, such as `uinteger[]`.

    Raises
    ------
    BadData
        If Feast has no type that holds all values of this one.
    """
    if sql_type not in _VALUE_TYPES:
        raise BadData(f"a feature cannot have the type {sql_type}; possible are {', '.join(sorted(_VALUE_TYPES))}")
    return _VALUE_TYPES[sql_type]


def read_home(config: "RepoConfig") -> Lake:
    """The lake that a Feast configuration points to."""
    known: Lake | None = config.offline_store.lake
    return known or Lake(Path(config.offline_store.home), memory_limit=config.offline_store.memory_limit)


def read_columns(lake: Lake, query: str) -> dict[str, str]:
    """Name and type of the columns of a query, in order; the query is planned, not run."""
    with read_lake(lake) as connection:
        try:
            relation = connection.sql(query)
        except duckdb.CatalogException as error:
            raise BadData(f"the lake at {lake.home} lacks a table; run `scorelake apply`: {error}") from error
        except duckdb.ProgrammingError as error:
            raise BadData(f"a query cannot be planned; correct it: {error}") from error
        types = [str(found).lower() for found in relation.types]
        return dict(zip(relation.columns, map(_shorten, types), strict=True))


def _shorten(sql_type: str) -> str:
    return sql_type.replace("timestamp with time zone", "timestamptz")


def check_source(source: DataSource | None) -> DuckLakeSource:
    """The source as what it must be here: a table of the lake.

    Raises
    ------
    BadData
        If it is one of Feast's other sources.
    """
    if not isinstance(source, DuckLakeSource):
        raise BadData(f"this store reads tables of the lake, found a {type(source).__name__}; use DuckLakeSource")
    return source
