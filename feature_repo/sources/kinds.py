"""What one input row may become: comments, videos, channels or labels, derived from the contracts.

Which source column fills what is a mapping's; filling the tables is `batches`'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pandera.pandas import DataFrameSchema

from feature_repo.contracts import build_row_rules, read_sql_types
from feature_repo.tables.columns import is_required
from feature_repo.tables.raw import CHANNELS, COMMENT_COUNTS, COMMENTS, LABELS, VIDEOS

# Filled while a batch is written, never by a source.
_DERIVED: Final = frozenset({"text_id", "source", "batch_id", "ingest_seq"})
# Told by some sources, else imputed while a batch is written.
_IMPUTED: Final = frozenset({"observed_at", "is_observed_at_imputed", "labelled_at"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of input row.

    Parameters
    ----------
    name
        As the command names it.
    table
        The table a row is one row of.
    parts
        What a row may bring besides, by the column that must be told for it.
    """

    name: str
    table: DataFrameSchema
    parts: Mapping[str, DataFrameSchema] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """DuckDB type of each column that a source can tell."""
        types: dict[str, str] = {}
        for table in (self.table, *self.parts.values()):
            types |= read_sql_types(table)
        return {name: sql_type for name, sql_type in types.items() if name not in _DERIVED}

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Columns without which no row of this kind can be good; a task may also come from the command."""
        optional = _DERIVED | _IMPUTED | {"task"}
        return tuple(
            name for name, column in self.table.columns.items() if is_required(column) and name not in optional
        )

    def build_rules(self) -> dict[str, str]:
        """Reason code → SQL condition that is true for a bad row of this kind."""
        rules = _build_told_rules(self.table)
        for anchor, part in self.parts.items():
            for code, condition in _build_told_rules(part).items():
                rules.setdefault(code, f'"{anchor}" is not null and {condition}')
        return rules


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("comments", COMMENTS, {"comment_id": COMMENT_COUNTS, "label": LABELS}),
        Kind("videos", VIDEOS),
        Kind("channels", CHANNELS),
        Kind("labels", LABELS),
    )
}


def _build_told_rules(table: DataFrameSchema) -> dict[str, str]:
    told = {name: column for name, column in table.columns.items() if name not in _DERIVED | _IMPUTED}
    return build_row_rules(DataFrameSchema(told, name=table.name))
