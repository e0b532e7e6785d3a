"""The number of the schema follows the declarations: a lake must know which release has migrated it."""

import hashlib
import json

from feature_repo.contracts import TABLES, read_sql_types
from feature_repo.release import READABLE_SINCE, SCHEMA_VERSION
from feature_repo.tables.scores import build_score_tables

# The declarations of the schema, by its number.
EXPECTED = (1, "ceec87df52c696ed")


def digest_declarations() -> str:
    tables = [*TABLES, *build_score_tables("model", ("a", "b"))]
    declared = {
        str(table.name): [
            table.unique,
            [[*pair, table.columns[pair[0]].nullable] for pair in read_sql_types(table).items()],
        ]
        for table in tables
    }
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:16]


def test_a_change_of_declarations_is_a_schema_of_its_own() -> None:
    assert (SCHEMA_VERSION, digest_declarations()) == EXPECTED, (
        "declarations have changed. If a release with this schema is out (CHANGELOG.md has its section), raise "
        "SCHEMA_VERSION in feature_repo/release.py, and READABLE_SINCE if a column means something else now. Then "
        "write the new pair here"
    )


def test_a_release_reads_what_it_writes() -> None:
    assert READABLE_SINCE <= SCHEMA_VERSION
