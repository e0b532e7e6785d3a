"""The data dictionary, docs/tables.md, from the declarations: `make tables` writes it."""

import sys

from feature_repo.contracts import build_dictionary
from flows.tables import list_tables


def build_page() -> str:
    """Build the Markdown page of all tables, those of the models' scores included."""
    return "# Tables\n\n" + build_dictionary(list_tables())


if __name__ == "__main__":
    sys.stdout.write(build_page())
