"""A word list, as one would write by hand, learned instead: what a first model has to beat besides ignorance.

For each class the tokens that speak for it most; a row gets the class with the most hits. It knows no numbers, no
weights and no probabilities.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.fit import deal_folds
from training.model import Floats, MatrixSpec, build_matrix

if TYPE_CHECKING:
    from training.dataset import TrainingSet
    from training.spec import ModelSpec

    Rows = NDArray[np.intp]

# Per class. Longer lists are hardly better on the public comments: out of fold, macro-F1 of 0.50 with 20 words and of
# 0.53 with 500 for sentiment, of 0.82 and 0.80 for spam.
WORDS: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class WordList:
    """Tokens listed for each class, and how frequent the classes are.

    Parameters
    ----------
    is_listed
        (tokens, classes), 1 where the token is on the list of the class.
    shares
        Share of each class among the rows learned from: it settles ties, and rows without a hit.
    """

    is_listed: sparse.csr_matrix
    shares: Floats

    def predict(self, has_token: sparse.csr_matrix) -> Floats:
        """Probabilities of 1 for the class with the most hits, shape (rows, classes); of equal ones, the most frequent.

        A row without a hit gets the most frequent class.
        """
        hits = (has_token @ self.is_listed).toarray() + self.shares / 2  # less than a hit, and so for ties alone
        said: Floats = np.eye(len(self.shares))[hits.argmax(axis=1)]
        return said


def fit_word_list(
    has_token: sparse.csr_matrix, labels: NDArray[np.int64], class_count: int, words: int = WORDS
) -> WordList:
    """List the tokens with the greatest smoothed log-odds for each class, measured in their standard errors.

    For a token in n of the N rows of a class and in m of the M others, they are ln((n + 1) / (N + 2)) -
    ln((m + 1) / (M + 2)), with a variance of 1 / (n + 1) + 1 / (m + 1): Monroe, Colaresi and Quinn, *Fightin' Words*,
    Political Analysis 16, 2008. Unmeasured, what occurs once would fill the list. Only what speaks for a class is
    listed; of equal tokens, the one with the lower id.

    Parameters
    ----------
    has_token
        (rows, tokens), 1 where the token occurs in the row.
    labels
        Class codes (rows,).

    >>> has_token = sparse.csr_matrix([[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 1, 1]])
    >>> listed = fit_word_list(has_token, np.array([0, 0, 1, 1]), 2)
    >>> listed.is_listed.toarray().tolist()
    [[1, 0], [0, 1], [0, 0]]
    >>> listed.predict(sparse.csr_matrix([[0, 1, 0], [0, 0, 1]])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    rows = np.bincount(labels, minlength=class_count)
    of_class = sparse.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), (class_count, len(labels)))
    inside = (of_class @ has_token).toarray()
    outside = inside.sum(axis=0) - inside
    odds = np.log((inside + 1) / (rows + 2)[:, None]) - np.log((outside + 1) / (len(labels) - rows + 2)[:, None])
    scores = odds / np.sqrt(1 / (inside + 1) + 1 / (outside + 1))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :words]
    is_for = np.take_along_axis(scores, best, axis=1) > 0
    classes = np.repeat(np.arange(class_count), is_for.sum(axis=1))
    entries = (np.ones(len(classes), dtype=np.int64), (best[is_for], classes))
    return WordList(sparse.csr_matrix(entries, (has_token.shape[1], class_count)), rows / len(labels))


def predict_word_list(training_set: "TrainingSet", spec: "ModelSpec") -> Floats:
    """What word lists say of the judged rows, each learned from the rows that a model learns from as well."""
    tokens = build_matrix(training_set.table, MatrixSpec((spec.token_column,), spec.token_dimension, ()))
    tokens = tokens[:, np.flatnonzero(tokens.getnnz(axis=0))]  # a million are possible, thousands occur
    has_token = (tokens > 0).astype(np.int64)

    def predict(learn: "Rows", judge: "Rows") -> Floats:
        return fit_word_list(has_token[learn], training_set.labels[learn], len(spec.classes)).predict(has_token[judge])

    if not spec.is_cross_group:
        return predict(np.flatnonzero(~training_set.is_held_out), np.flatnonzero(training_set.is_held_out))
    said = np.zeros((len(training_set.labels), len(spec.classes)))
    for learn, judge in deal_folds(training_set.groups, spec.folds):
        said[judge] = predict(learn, judge)
    return said
