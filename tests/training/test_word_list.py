from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from feature_repo.retrieval import ServiceDefinition
from training.dataset import TrainingSet, split_table
from training.spec import ModelSpec
from training.word_list import fit_word_list, predict_word_list

BuildTable = Callable[..., pa.Table]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

# Rows and the tokens in them: 0 speaks for class 0, 1 and 2 for class 1, 3 for none, 4 once for class 0.
HAS_TOKEN = sparse.csr_matrix(
    [
        [1, 0, 0, 1, 1],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 0, 0, 0],
    ]
)
LABELS = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("words", "expected"),
    [(1, [[0], [1]]), (2, [[0, 4], [1, 2]]), (9, [[0, 4], [1, 2]])],
)
def test_what_speaks_for_a_class_is_listed_the_most_telling_first(words: int, expected: list[list[int]]) -> None:
    listed = fit_word_list(HAS_TOKEN, LABELS, 2, words=words)
    assert [np.flatnonzero(column).tolist() for column in listed.is_listed.toarray().T] == expected


def test_a_frequent_token_goes_before_a_rare_one_that_is_purer() -> None:
    """40 of 50 against 5 of 50 says more than 2 of 50 against none."""
    frequent = np.r_[np.ones(40), np.zeros(10), np.ones(5), np.zeros(45)]
    rare = np.r_[np.zeros(48), np.ones(2), np.zeros(50)]
    has_token = sparse.csr_matrix(np.c_[rare, frequent].astype(np.int64))
    listed = fit_word_list(has_token, np.repeat([0, 1], 50), 2, words=1)
    assert listed.is_listed.toarray()[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 0, 0, 0, 0], 0),
        ([1, 1, 1, 0, 0], 1),
        ([0, 0, 0, 0, 0], 2),
        ([1, 1, 0, 0, 0], 1),
    ],
    ids=["a hit", "the most hits", "no hit: the majority", "a tie: the more frequent class"],
)
def test_a_row_gets_the_class_with_the_most_hits(tokens: list[int], expected: int) -> None:
    """Class 2 has the most rows and no words; class 1 has more rows than class 0."""
    more = sparse.vstack([HAS_TOKEN, sparse.csr_matrix([[0, 1, 1, 0, 0]] + [[0, 0, 0, 1, 0]] * 8)]).tocsr()
    labels = np.r_[LABELS, 1, np.full(8, 2)]
    listed = fit_word_list(more, labels, 3, words=2)
    said = listed.predict(sparse.csr_matrix([tokens]))
    assert said.sum() == 1
    assert said.argmax() == expected


def test_only_rows_that_are_learned_from_make_the_list(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition, training_set: TrainingSet
) -> None:
    table = build_table().sort_by("comment_id")
    labels = np.where(training_set.is_held_out, "negative", table.column("label").to_numpy(zero_copy_only=False))
    labels[np.flatnonzero(training_set.is_held_out)[:60]] = np.repeat(["neutral", "positive"], 30)
    changed = table.set_column(table.column_names.index("label"), "label", pa.array(labels.tolist()))
    other = split_table(changed, spec, service, data_version=1, as_of=NOW)
    said = predict_word_list(training_set, spec)
    assert said.shape == (training_set.is_held_out.sum(), 3)
    assert (predict_word_list(other, spec) == said).all()
    is_right = said.argmax(axis=1) == training_set.labels[training_set.is_held_out]
    assert 0.4 < is_right.mean() < 0.9


def test_out_of_fold_no_list_has_seen_the_group(
    build_table: BuildTable, spec: ModelSpec, service: ServiceDefinition
) -> None:
    """The labels of one group are turned around: what is said of that group stays, for it learned from the others."""
    spec = replace(spec, is_cross_group=True)
    table = build_table(groups=4).sort_by("comment_id")
    known = split_table(table, spec, service, data_version=1, as_of=NOW)
    is_first = known.groups == "group v0"
    turned = np.where(is_first, "neutral", table.column("label").to_numpy(zero_copy_only=False))
    changed = table.set_column(table.column_names.index("label"), "label", pa.array(turned.tolist()))
    other = split_table(changed, spec, service, data_version=1, as_of=NOW)
    before, after = predict_word_list(known, spec), predict_word_list(other, spec)
    assert before.shape == (900, 3)
    assert (before[is_first] == after[is_first]).all()
    assert not (before[~is_first] == after[~is_first]).all()
