import duckdb
import pytest

from feature_repo.contracts import TABLES, build_row_rules
from feature_repo.tables.raw import COMMENTS
from feature_repo.tables.scores import build_score_tables


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("comment_id", "a'b; drop table raw.comments --", None),
        ("comment_id", None, "comment_id_missing"),
        ("comment_id", "", "comment_id_malformed"),
        ("comment_id", "a\tb", "comment_id_malformed"),
        ("comment_id", "x" * 129, "comment_id_malformed"),
        ("text", "x", None),
        ("text", "", "text_length"),
        ("text", "x" * 10_001, "text_length"),
        ("video_id", None, None),
    ],
)
def test_a_row_rule_is_broken_by_just_the_values_it_names(column: str, value: str | None, reason: str | None) -> None:
    rules = {name: rule for name, rule in build_row_rules(COMMENTS).items() if f'"{column}"' in rule}
    broken = [
        name
        for name, rule in rules.items()
        if duckdb.execute(f'select {rule} from (select $1::varchar as "{column}")', [value]).fetchone() == (True,)
    ]
    assert broken == ([reason] if reason else [])


def test_every_table_and_column_says_what_it_means() -> None:
    for table in (*TABLES, *build_score_tables("spam", ("ham", "spam"))):
        assert table.description.endswith(".")
        assert set(table.unique) <= set(table.columns)
        for name, column in table.columns.items():
            assert column.description.endswith("."), f"{table.name}.{name}"


def test_instants_end_in_at_and_booleans_begin_with_is() -> None:
    for table in TABLES:
        for name, column in table.columns.items():
            kind = str(column.dtype)
            if "timestamp" in kind:
                assert name.endswith(("_at", "_timestamp", "_from", "_to")), f"{table.name}.{name}"
            if "bool" in kind:
                assert name.startswith(("is_", "has_")), f"{table.name}.{name}"
