"""Mappings: which source column is what, how times and numbers are read, how an id is built.

A mapping is a TOML file, a preset beside this module, or the canonical one, in which every column bears
the name that it has in the lake. How a mapping becomes SQL belongs to `candidates`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from feature_repo.errors import BadData
from feature_repo.sources.kinds import KINDS

PRESETS: Final = Path(__file__).parent / "presets"
CANONICAL: Final = "canonical"


# Strict but for TOML's lists, which are to be tuples.
_Texts: TypeAlias = Annotated[tuple[str, ...], Field(strict=False)]


class ColumnSource(BaseModel):
    """Where the values of one column of the lake come from, and how they are read.

    Parameters
    ----------
    column
        Name of the source column; may be "", as R names its index.
    hash_of
        Source columns whose values together make the value: the first 32 hex digits of their SHA-256.
    file_stem
        The name of the file without its ending is the value.
    constant
        The same value in every row.
    prefix, suffix
        Put around a value before it is read.
    null_values
        Texts that mean "not told", besides blank.
    values
        What each text stands for; any other text is refused as `<column>_unknown`.
    formats
        For times: "iso" or strptime formats, tried in order. A local time must be written exactly as the
        format would write it (so "%d.%m" refuses "13.1"; "%-d" stands for a day without leading zero).
    zone
        IANA name of the zone of times that tell none; without it they are refused.
    is_optional
        Whether the source may lack the column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    column: str | None = None
    hash_of: _Texts = ()
    file_stem: bool = False
    constant: str | None = None
    prefix: str = ""
    suffix: str = ""
    null_values: _Texts = ()
    values: dict[str, str] = {}
    formats: Annotated[_Texts, Field(min_length=1)] = ("iso",)
    zone: str | None = None
    is_optional: bool = False

    @property
    def read_columns(self) -> tuple[str, ...]:
        """Source columns that the value is made of."""
        return self.hash_of if self.column is None else (self.column,)

    def check_type(self, place: str, sql_type: str) -> None:
        """Raise ValueError if something is told that means nothing for a column of this type."""
        if self.values and sql_type != "varchar":
            raise ValueError(f"{place}: values are for texts, this is a {sql_type}")
        if self.model_fields_set & {"formats", "zone"} and sql_type != "timestamptz":
            raise ValueError(f"{place}: formats and zone are for times, this is a {sql_type}")

    @model_validator(mode="after")
    def _check_origin(self) -> Self:
        origins = (self.column is not None, bool(self.hash_of), self.file_stem, self.constant is not None)
        if sum(origins) != 1:
            raise ValueError("expected exactly one of column, hash_of, file_stem and constant")
        return self

    @model_validator(mode="after")
    def _check_zone(self) -> Self:
        try:
            self.zone is None or ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"expected an IANA zone such as Europe/Berlin, found {self.zone!r}") from None
        return self


def _expand_name(told: object) -> object:
    """A plain text is short for the name of the source column."""
    return {"column": told} if isinstance(told, str) else told


_Columns: TypeAlias = dict[str, Annotated[ColumnSource, BeforeValidator(_expand_name)]]


class SourceMapping(BaseModel):
    """How the rows of a source become rows of the lake: for each kind, lake column → its source."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = CANONICAL
    description: str = ""
    comments: _Columns = {}
    videos: _Columns = {}
    channels: _Columns = {}
    labels: _Columns = {}

    def read_kind(self, kind: str) -> dict[str, ColumnSource]:
        """Lake column → its source, for one kind of row; `BadData` if the mapping does not have that kind."""
        columns: dict[str, ColumnSource] = getattr(self, kind)
        if not columns:
            known = ", ".join(name for name in KINDS if getattr(self, name))
            raise BadData(f"the mapping {self.name} tells nothing of {kind}, only of {known}")
        return columns

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        for name, kind in KINDS.items():
            columns = getattr(self, name)
            unknown = [f"{name}.{column}" for column in columns if column not in kind.columns]
            missing = [f"{name}.{column}" for column in kind.required_columns if column not in columns]
            if unknown:
                known = ", ".join(kind.columns)
                raise ValueError(f"{', '.join(unknown)}: no such column of the lake; {name} have {known}")
            if columns and missing:
                raise ValueError(f"{', '.join(missing)}: not mapped, but no row is good without it")
            for column, source in columns.items():
                source.check_type(f"{name}.{column}", kind.columns[column])
        return self


def read_mapping(name_or_path: str | None = None) -> SourceMapping:
    """The mapping of that name, in that TOML file, or the canonical one if None.

    Raises
    ------
    BadData
        If there is no such preset or file, or what is in it is not a mapping; the message names the place.
    """
    if name_or_path in (None, CANONICAL):
        return _build_canonical()
    path = Path(str(name_or_path))
    if name_or_path in read_preset_names():
        path = PRESETS / f"{name_or_path}.toml"
    if path.suffix != ".toml" or not path.is_file():
        presets = ", ".join(read_preset_names())
        raise BadData(f"no mapping {str(name_or_path)!r}; expected a TOML file or one of {presets}")
    return _parse_toml(path)


def read_preset_names() -> tuple[str, ...]:
    """Names of the mappings that come with scorelake."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def parse_mapping(told: object, place: str) -> SourceMapping:
    """A mapping from plain tables and lists, as TOML and the ledger have them.

    Parameters
    ----------
    place
        Where they were found, for the message of the `BadData`.
    """
    try:
        return SourceMapping.model_validate(told)
    except ValidationError as error:
        raise BadData(f"{place} is not a mapping: {_describe(error)}") from None


def _parse_toml(path: Path) -> SourceMapping:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"cannot read the mapping {path}: {error}") from None
    return parse_mapping({"name": path.stem} | told, str(path))


def _describe(error: ValidationError) -> str:
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()[:5]]
    return "; ".join(f"{place}: {message}" if place else message for place, message in faults)


def _build_canonical() -> SourceMapping:
    return SourceMapping.model_validate({name: _build_identity(name) for name in KINDS})


def _build_identity(kind: str) -> dict[str, dict[str, object]]:
    required = KINDS[kind].required_columns
    return {column: {"column": column, "is_optional": column not in required} for column in KINDS[kind].columns}
