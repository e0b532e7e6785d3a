from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, build_query, encode_labels, hold_out_groups, read_groups, split_table
from training.spec import ModelSpec, read_spec

BuildTable = Callable[..., pa.Table]
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def day(number: int) -> str:
    return f"2026-01-{number:02} 00:00:00+00"


def fill(lake: Lake, comments: list[tuple[str, str, int, int]], labels: list[tuple[str, str, str, int, int]]) -> None:
    """comments: id, text, day observed, batch; labels: id, task, label, day labelled, batch."""
    with write_lake(lake, purpose="test") as connection:
        for comment, text, observed, batch in comments:
            connection.execute(
                "insert into raw.comments (comment_id, text_id, text, video_id, observed_at, is_observed_at_imputed, "
                "source, batch_id, ingest_seq) values (?, ?, ?, 'v1', ?, false, 's', 'b', ?)",
                [comment, text, text, day(observed), batch],
            )
        for comment, task, label, labelled, batch in labels:
            connection.execute(
                "insert into raw.labels (comment_id, task, label, labelled_at, source, batch_id, ingest_seq) "
                "values (?, ?, ?, ?, 's', 'b', ?)",
                [comment, task, label, day(labelled), batch],
            )


def read(lake: Lake, task: str = "spam", data_version: int = 9, as_of: datetime = NOON) -> list[tuple[Any, ...]]:
    query = build_query(task, data_version=data_version, as_of=as_of)
    with read_lake(lake) as connection:
        return connection.execute(f"select comment_id, text_id, label from ({query}) order by all").fetchall()


COMMENTS = [("c1", "first", 1, 1), ("c1", "edited", 3, 2), ("c1", "edited again", 7, 3), ("c2", "other", 2, 1)]


@pytest.mark.parametrize(
    ("labelled", "text"),
    [(1, "first"), (2, "first"), (3, "edited"), (6, "edited"), (7, "edited again"), (9, "edited again")],
)
def test_a_label_belongs_to_the_latest_text_the_labeller_can_have_seen(lake: Lake, labelled: int, text: str) -> None:
    fill(lake, COMMENTS, [("c1", "spam", "ham", labelled, 1)])
    assert read(lake) == [("c1", text, "ham")]


def test_a_label_older_than_every_text_belongs_to_the_first(lake: Lake) -> None:
    fill(
        lake,
        [(comment, text, observed + 5, batch) for comment, text, observed, batch in COMMENTS[:2]],
        [("c1", "spam", "ham", 2, 1)],
    )
    assert read(lake) == [("c1", "first", "ham")]


def test_the_latest_label_counts_then_the_later_batch(lake: Lake) -> None:
    labels = [
        ("c1", "spam", "ham", 5, 4),
        ("c1", "spam", "spam", 4, 5),
        ("c2", "spam", "ham", 5, 4),
        ("c2", "spam", "spam", 5, 5),
    ]
    fill(lake, COMMENTS, labels)
    assert read(lake) == [("c1", "edited", "ham"), ("c2", "other", "spam")]


def test_what_was_not_yet_known_does_not_count(lake: Lake) -> None:
    labels = [("c1", "spam", "ham", 4, 1), ("c1", "spam", "spam", 8, 3), ("c2", "sentiment", "neutral", 3, 1)]
    fill(lake, COMMENTS, labels)

    assert read(lake) == [("c1", "edited again", "spam")]
    assert read(lake, data_version=2) == [("c1", "edited", "ham")], "the second label came with batch 3"
    assert read(lake, as_of=datetime(2026, 1, 7, tzinfo=UTC)) == [("c1", "edited", "ham")], "and was given on the 8th"
    assert read(lake, data_version=0) == []


def test_a_label_without_its_comment_is_no_row(lake: Lake) -> None:
    fill(lake, [], [("c1", "spam", "ham", 4, 1)])
    assert read(lake) == []


def test_a_task_with_a_quote_is_a_name_and_no_sql(lake: Lake) -> None:
    task = "spam' or '1'='1"
    fill(lake, COMMENTS, [("c1", "spam", "ham", 5, 1), ("c2", task, "spam", 5, 1)])
    assert read(lake, task=task) == [("c2", "other", "spam")]


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(BadData, match="as_of must say its time zone, found 2026-01-10T12:00:00"):
        build_query("spam", data_version=1, as_of=NOON.replace(tzinfo=None))


def test_no_group_is_on_both_sides(training_set: TrainingSet) -> None:
    held_out, learned = (
        set(training_set.groups[mask]) for mask in (training_set.is_held_out, ~training_set.is_held_out)
    )
    assert held_out
    assert learned
    assert held_out & learned == set()


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=40),
    st.lists(st.text(max_size=5), max_size=20),
    st.floats(0, 1),
)
def test_a_group_is_held_out_whatever_else_there_is(groups: list[str], others: list[str], share: float) -> None:
    alone = hold_out_groups(np.array(groups), share=share, salt="s")
    among = hold_out_groups(np.array(groups + others), share=share, salt="s")[: len(groups)]
    more = hold_out_groups(np.array(groups), share=min(1.0, share + 0.1), salt="s")

    assert (alone == among).all()
    assert (more | ~alone).all(), "a larger share adds groups and takes none away"


def test_the_held_out_groups_are_the_same_for_ever() -> None:
    # Golden: registered versions have been judged on these groups; another hash would let them be learned from.
    groups = np.array([f"group v{number}" for number in range(20)])
    salt = read_spec("sentiment").held_out_salt
    held_out = groups[hold_out_groups(groups, share=0.2, salt=salt)]
    assert held_out.tolist() == ["group v9", "group v12", "group v16"]


def test_about_the_stated_share_is_held_out() -> None:
    groups = np.array([f"v{number}" for number in range(10_000)])
    assert hold_out_groups(groups, share=0.2, salt="s").mean() == pytest.approx(0.2, abs=0.01)


def test_a_comment_without_a_group_is_its_own() -> None:
    table = pa.table({"comment_id": ["a", "b", "v"], "video_id": ["v", None, None]})
    assert read_groups(table, "video_id").tolist() == ["group v", "comment b", "comment v"]


def test_rows_are_ordered_whatever_order_they_came_in(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, training_set: TrainingSet
) -> None:
    table = build_table()
    shuffled = table.take(np.random.default_rng(3).permutation(len(table)))
    other = split_table(shuffled, spec, service, data_version=1, as_of=NOON)

    assert other.table.equals(training_set.table)
    assert other.digest == training_set.digest
    assert (other.is_held_out == training_set.is_held_out).all()


def test_the_batch_a_row_came_in_is_no_content(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, training_set: TrainingSet
) -> None:
    table = build_table()
    table = table.set_column(table.column_names.index("ingest_seq"), "ingest_seq", pa.array(range(len(table))))
    assert split_table(table, spec, service, data_version=1, as_of=NOON).digest == training_set.digest


def test_numeric_columns_are_those_of_the_service(training_set: TrainingSet) -> None:
    assert training_set.matrix.numeric == ("text_chars", "is_reply")
    assert training_set.matrix.token_dimension == 300


def test_a_cross_group_model_holds_nothing_out(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    found = split_table(build_table(), replace(spec, is_cross_group=True), service, data_version=1, as_of=NOON)
    assert not found.is_held_out.any()


def test_foreign_labels_are_counted_and_shown() -> None:
    labels = pa.chunked_array([["ham", "Spam", None], ["Spam", "spam"]])
    with pytest.raises(BadData, match=r"one of ham, spam; 3 of 5 are not: 'Spam' \(2\), None \(1\)\. Correct them"):
        encode_labels(labels, ("ham", "spam"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 40}, "sentiment needs 200 labelled comments; there are 40. Bring more with"),
        ({"groups": 1}, "sentiment needs 10 comments of each class held out; found negative 0, neutral 0, positive 0"),
    ],
)
def test_too_few_rows_are_counted_and_the_way_out_is_shown(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadData, match=message):
        split_table(build_table(**change), spec, service, data_version=1, as_of=NOON)


def test_one_class_alone_teaches_nothing(build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition) -> None:
    table = build_table()
    table = table.set_column(table.column_names.index("label"), "label", pa.array(["neutral"] * len(table)))
    with pytest.raises(
        BadData, match=r"10 comments of each class to train on; found negative 0, neutral \d+, positive 0"
    ):
        split_table(table, spec, service, data_version=1, as_of=NOON)


def test_a_single_group_cannot_be_judged_across_groups(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    with pytest.raises(BadData, match=r"judged across groups \(video_id\) and found only one"):
        split_table(build_table(groups=1), replace(spec, is_cross_group=True), service, data_version=1, as_of=NOON)


@pytest.mark.parametrize("column", ["token_ids_v1", "prefix_ids_v1"])
def test_comments_whose_features_are_missing_are_waited_for(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, column: str
) -> None:
    table = build_table()
    table = table.append_column("prefix_ids_v1", table.column("token_ids_v1"))
    tokens = [None] * 7 + table.column(column).to_pylist()[7:]
    table = table.set_column(table.column_names.index(column), column, pa.array(tokens, pa.list_(pa.uint32())))

    two = replace(spec, token_columns=("token_ids_v1", "prefix_ids_v1"))
    with pytest.raises(
        Unavailable, match=f"7 of 900 labelled comments have no {column} yet; run `scorelake apply`, then"
    ):
        split_table(table, two, service, data_version=1, as_of=NOON)
