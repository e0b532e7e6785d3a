import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from feature_repo.contracts import TABLES, read_sql_types
from feature_repo.errors import BadData
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.migration import migrate_tables
from feature_repo.release import LaterRelease
from feature_repo.sources.retention import expire_texts
from feature_repo.tables.features import COMMENT_FEATURES
from feature_repo.tables.ops import LEASES
from feature_repo.tables.raw import COMMENTS
from flows.stage import prepare_lake
from tests.feature_repo.raw_rows import START, add_batch

NOW = START + timedelta(days=1)


def test_the_declarations_are_what_the_catalog_says(lake: Lake) -> None:
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select schema_name || '.' || table_name, column_name, data_type, is_nullable, comment "
            "from duckdb_columns() where database_name = 'lake'"
        ).fetchall()
    found = {(table, column): (kind, nullable, comment) for table, column, kind, nullable, comment in rows}
    for table in TABLES:
        for name, sql_type in read_sql_types(table).items():
            kind, is_nullable, comment = found[str(table.name), name]
            assert kind.lower().replace("timestamp with time zone", "timestamptz") == sql_type
            assert is_nullable == table.columns[name].nullable
            assert comment == table.columns[name].description


def test_migrating_again_changes_nothing(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        assert migrate_tables(connection, TABLES) == ()


def test_a_column_that_is_missing_is_added_with_its_comment(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("alter table raw.comments drop column parent_id")
        assert migrate_tables(connection, [COMMENTS]) == ("raw.comments",)
        row = connection.execute(
            "select comment from duckdb_columns() where table_name = 'comments' and column_name = 'parent_id'"
        ).fetchone()
    assert row == (COMMENTS.columns["parent_id"].description,)


def test_a_column_that_may_be_null_from_now_on_is_let(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("drop table raw.comments")
        migrate_tables(connection, [COMMENTS.update_column("text", nullable=False)])
        assert migrate_tables(connection, [COMMENTS]) == ("raw.comments",)
        assert migrate_tables(connection, [COMMENTS]) == ()
        rows = connection.execute(
            "select column_name, is_nullable from duckdb_columns() "
            "where table_name = 'comments' and column_name in ('text', 'text_id') order by 1"
        ).fetchall()
    assert rows == [("text", True), ("text_id", False)]


def test_a_column_that_was_added_may_be_null_and_stays_as_it_is(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("alter table raw.comments drop column source")
        assert migrate_tables(connection, [COMMENTS]) == ("raw.comments",)
        assert migrate_tables(connection, [COMMENTS]) == ()


def test_a_table_of_another_version_is_refused(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("alter table ops.leases add column colour varchar")
        with pytest.raises(LaterRelease, match=r"ops.leases was made by another version.*\['colour'\]"):
            migrate_tables(connection, [LEASES])


def test_a_column_of_another_type_is_refused(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute("drop table ops.leases")
        connection.execute("create table ops.leases (process_id varchar)")
        with pytest.raises(BadData, match=r"\['process_id'\] are not as declared"):
            migrate_tables(connection, [LEASES])


LATE = ("prefix_ids_v1", "english_word_share", "is_reply", "earlier_reply_count_30d")
OTHERS = ", ".join(name for name in COMMENT_FEATURES.columns if name not in LATE)
Late = dict[str, list[tuple[Any, ...]]]


def read(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with read_lake(lake) as connection:
        return connection.execute(sql).fetchall()


def read_late(lake: Lake) -> Late:
    """The late columns of each row, by comment."""
    found: Late = {}
    for name, *values in read(lake, f"select comment_id, {', '.join(LATE)} from features.comment_features order by 1"):
        found.setdefault(name, []).append(tuple(values))
    return found


@pytest.fixture(scope="module")
def built(seed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Late]:
    """A lake as a release without the late columns left it, and what they were when they were computed.

    With a thread, a text of two rows, as a count came late, a text that has expired, and one without features.
    """
    lake = Lake(shutil.copytree(seed_home, tmp_path_factory.mktemp("earlier") / "home"))
    reply = {"parent_id": "top", "text": "Wonderful replies"}
    add_batch(
        lake,
        comments=[
            {"comment_id": "expired", "text": "Something wonderful", "published_at": START - timedelta(days=90)},
            {"comment_id": "top", "text": "This is the beginning"},
            {"comment_id": "a", "published_at": START + timedelta(minutes=1), **reply},
            {"comment_id": "b", "published_at": START + timedelta(minutes=2), **reply},
        ],
    )
    materialize_features(lake, run_id="m1", now=NOW)
    add_batch(lake, counts=[{"comment_id": "b", "observed_at": START, "like_count": 3}])
    materialize_features(lake, run_id="m2", now=NOW)
    computed = read_late(lake)
    add_batch(lake, comments=[{"comment_id": "new"}])
    expire_texts(lake, run_id="expiry", now=START + timedelta(days=1), days=30, sources=("test",))
    write(lake, *(f"alter table features.comment_features drop column {name}" for name in LATE))
    return lake, computed | {"expired": [(None,) * len(LATE)]}


@pytest.fixture
def earlier(built: tuple[Lake, Late], tmp_path: Path) -> tuple[Lake, Late]:
    lake, computed = built
    return Lake(shutil.copytree(lake.home, tmp_path / "home")), computed


def write(lake: Lake, *statements: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        for statement in statements:
            connection.execute(statement)


def test_columns_that_features_gain_are_filled_as_they_would_have_been_computed(earlier: tuple[Lake, Late]) -> None:
    lake, computed = earlier
    assert {name: len(rows) for name, rows in computed.items()} == {"expired": 1, "top": 1, "a": 1, "b": 2}
    assert [row[-1] for row in computed["b"]] == [1, 1], "the second reply"
    others = f"select {OTHERS} from features.comment_features order by all"
    before = read(lake, others)
    assert prepare_lake(lake) == ("features.comment_features",)
    assert read_late(lake) == computed
    assert read(lake, others) == before
    assert prepare_lake(lake, is_thorough=True) == ()
    materialize_features(lake, run_id="m3", now=NOW)
    assert read_late(lake).keys() == computed.keys() | {"new"}


def test_a_migration_that_is_killed_leaves_no_column_unfilled(earlier: tuple[Lake, Late]) -> None:
    lake, computed = earlier

    def migrate_and_die(connection: duckdb.DuckDBPyConnection) -> None:
        migrate_tables(connection, TABLES)
        raise KeyboardInterrupt

    with write_lake(lake, purpose="test") as connection, pytest.raises(KeyboardInterrupt):
        run_transaction(connection, migrate_and_die)
    with pytest.raises(duckdb.BinderException, match="prefix_ids_v1"):
        read_late(lake)
    assert prepare_lake(lake) == ("features.comment_features",)
    assert read_late(lake) == computed


def test_columns_that_an_earlier_migration_has_not_filled_are_found_by_a_thorough_one(
    earlier: tuple[Lake, Late],
) -> None:
    lake, computed = earlier
    prepare_lake(lake)
    write(lake, "update features.comment_features set prefix_ids_v1 = null where comment_id = 'a'")
    assert prepare_lake(lake) == ()
    assert prepare_lake(lake, is_thorough=True) == ("features.comment_features",)
    assert read_late(lake) == computed
