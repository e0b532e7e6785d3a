"""The data dictionary, docs/tables.md, from the declarations: `make tables` writes it."""

import sys

from feature_repo.contracts import TABLES, build_dictionary
from feature_repo.tables.scores import build_score_tables
from training.spec import list_specs, read_spec


def build_page() -> str:
    """Build the Markdown page of all tables, those of the models' scores included."""
    scores = (table for spec in map(read_spec, list_specs()) for table in build_score_tables(spec.name, spec.classes))
    return "# Tables\n\n" + build_dictionary([*TABLES, *scores])


if __name__ == "__main__":
    sys.stdout.write(build_page())
