import pytest

from feature_repo.contracts import TABLES, read_sql_types
from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.migration import migrate_tables
from feature_repo.tables.ops import LEASES
from feature_repo.tables.raw import COMMENTS


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
        with pytest.raises(BadData, match=r"ops.leases was made by another version.*\['colour'\]"):
            migrate_tables(connection, [LEASES])
