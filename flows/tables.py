"""Every table that a lake of this release has: those that are always there, and those of each model's scores."""

from pandera.pandas import DataFrameSchema

from feature_repo.contracts import TABLES
from feature_repo.tables.scores import build_score_tables
from training.spec import list_specs, read_spec


def list_tables() -> list[DataFrameSchema]:
    """The declarations of all tables."""
    return [
        *TABLES,
        *(table for spec in map(read_spec, list_specs()) for table in build_score_tables(spec.name, spec.classes)),
    ]
