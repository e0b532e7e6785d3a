"""Models that might have become the default, each as a function from rows to learn from to a judge of other rows.

Some learn from stored features, as the platform does; some from the text, to show what that would be worth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from training.dataset import TrainingSet
from training.model import Floats, MatrixSpec, build_matrix, build_pipeline

Rows = NDArray[np.intp]
Judge = Callable[["Corpus", Rows], Floats]
C = 0.5
_WORD = r"\w+(?:['’]\w+)*|[^\w\s]"


@dataclass(frozen=True, eq=False)
class Corpus:
    """Labelled comments with what is stored of them, their texts, and texts without labels (token lists)."""

    known: TrainingSet
    texts: NDArray[np.object_]
    unlabelled: pa.Table

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class codes."""
        return self.known.labels

    @property
    def groups(self) -> NDArray[np.str_]:
        """Names of the videos."""
        return self.known.groups

    @cached_property
    def matrices(self) -> dict[MatrixSpec, sparse.csr_matrix]:
        """Matrices already built: a fold takes rows of them."""
        return {}

    def build(self, rows: Rows, spec: MatrixSpec) -> sparse.csr_matrix:
        """The matrix of some rows."""
        key = replace(spec, lexicon=None), spec.lexicon is not None
        if key not in self.matrices:
            self.matrices[key] = build_matrix(self.known.table, spec)
        return self.matrices[key][rows]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name for the table, and how it learns; a slow one is judged on one repeat of the folds."""

    name: str
    fit: Callable[[Corpus, Rows], Judge]
    is_slow: bool = False


def learn_matrix(build: Callable[[], Any], *, prefixes: bool = True, valence: bool = True, numbers: bool = True) -> Any:
    """A candidate that learns from the matrix, or from a part of its columns."""

    def fit(corpus: Corpus, rows: Rows) -> Judge:
        whole = corpus.known.matrix
        spec = replace(
            whole,
            token_columns=whole.token_columns if prefixes else whole.token_columns[:1],
            numeric=whole.numeric if numbers else (),
            lexicon=whole.lexicon if valence else None,
        )
        model = build().fit(corpus.build(rows, spec), corpus.labels[rows])
        return lambda other, wanted: np.asarray(model.predict_proba(other.build(wanted, spec)))

    return fit


def learn_text(build: Callable[[], Any], *, valence: bool = False) -> Any:
    """A candidate that learns from the text, and perhaps from the numbers and valences beside it."""

    def read(corpus: Corpus, rows: Rows) -> Any:
        if not valence:
            return corpus.texts[rows]
        tokens = corpus.known.matrix.token_dimension
        numbers = corpus.build(rows, corpus.known.matrix)[:, tokens:].toarray()
        return np.column_stack([corpus.texts[rows], numbers.astype(object)])

    def fit(corpus: Corpus, rows: Rows) -> Judge:
        model = build().fit(read(corpus, rows), corpus.labels[rows])
        return lambda other, wanted: np.asarray(model.predict_proba(read(other, wanted)))

    return fit


def build_linear(c: float = C, class_weight: str | None = "balanced") -> OneVsRestClassifier:
    """One logistic regression per class."""
    return OneVsRestClassifier(LogisticRegression(C=c, class_weight=class_weight, solver="liblinear", tol=0.01))


def build_default(class_weight: str | None = "balanced", c: float = C) -> Pipeline:
    """The pipeline that is registered, with a fixed penalty."""
    names = {"classes__estimator__C": c, "classes__estimator__class_weight": class_weight}
    return build_pipeline().set_params(**names)


class NaiveBayesWeights(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """One logistic regression per class on columns weighed by their log-count ratio.

    Wang and Manning, *Baselines and Bigrams: Simple, Good Sentiment and Topic Classification*, ACL 2012.
    """

    def fit(self, matrix: sparse.csr_matrix, labels: NDArray[np.int64]) -> "NaiveBayesWeights":
        """Learn ratios and weights."""
        self.classes_ = np.unique(labels)
        self.ratios_, self.models_ = [], []
        for one in self.classes_:
            here, there = (1 + np.asarray(matrix[side].sum(axis=0)).ravel() for side in (labels == one, labels != one))
            ratio = np.log((here / here.sum()) / (there / there.sum()))
            model = LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear", tol=0.01)
            self.models_.append(model.fit(matrix @ sparse.diags(ratio), labels == one))
            self.ratios_.append(ratio)
        return self

    def predict_proba(self, matrix: sparse.csr_matrix) -> Floats:
        """Probabilities, normalised over the classes."""
        pairs = zip(self.ratios_, self.models_, strict=True)
        found = np.column_stack([model.predict_proba(matrix @ sparse.diags(ratio))[:, 1] for ratio, model in pairs])
        normalised: Floats = found / found.sum(axis=1, keepdims=True)
        return normalised


def build_boosted() -> Pipeline:
    """Boosted trees on eighty latent dimensions of the matrix (Deerwester et al., JASIS 41, 1990)."""
    trees = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.1, max_leaf_nodes=15, random_state=0)
    return make_pipeline(VarianceThreshold(), TfidfTransformer(), TruncatedSVD(80, random_state=0), trees)


class Take(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """The text of a row, or the numbers beside it."""

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text

    def fit(self, rows: NDArray[np.object_], labels: Any = None) -> "Take":  # noqa: ARG002 - scikit-learn's interface
        """Learn nothing."""
        return self

    def transform(self, rows: NDArray[np.object_]) -> Any:
        """The part."""
        return rows[:, 0] if self.is_text else rows[:, 1:].astype(float)


def build_text(*, characters: bool) -> Pipeline:
    """Words and pairs, and perhaps character n-grams, of the text itself, with the numbers and valences."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
    parts = [("words", words)]
    if characters:
        parts.append(("chars", TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)))
    sides = [
        ("text", make_pipeline(Take(is_text=True), FeatureUnion(parts))),
        ("numbers", make_pipeline(Take(is_text=False), StandardScaler(), FunctionTransformer(lambda x: 0.3 * x))),
    ]
    return make_pipeline(FeatureUnion(sides), build_linear(5.0))


def fit_stack(corpus: Corpus, rows: Rows) -> Judge:
    """The default, complement naive Bayes and boosted trees, weighed by what they say of videos they have not seen."""
    base = [
        learn_matrix(build_default),
        learn_matrix(build_bayes, numbers=False, valence=False),
        learn_matrix(build_boosted),
    ]
    learned = np.zeros((len(rows), 3 * len(base)))
    for learn, judge in GroupKFold(3).split(rows, groups=corpus.groups[rows]):
        learned[judge] = _say([fit(corpus, rows[learn]) for fit in base], corpus, rows[judge])
    top = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(learned, corpus.labels[rows])
    judges = [fit(corpus, rows) for fit in base]
    return lambda other, wanted: np.asarray(top.predict_proba(_say(judges, other, wanted)))


def build_bayes() -> Pipeline:
    """Complement naive Bayes (Rennie et al., ICML 2003) on rarity-weighted tokens."""
    return make_pipeline(TfidfTransformer(norm=None), ComplementNB(alpha=0.3))


def fit_self_trained(corpus: Corpus, rows: Rows) -> Judge:
    """The default, taught again with what it says, confidently, of texts without labels."""
    spec = corpus.known.matrix
    lists = {name: corpus.unlabelled.column(name) for name in spec.token_columns}
    nothing = pa.nulls(len(corpus.unlabelled), pa.float64())
    extra = build_matrix(pa.table(lists | dict.fromkeys(spec.numeric, nothing)), spec)
    labelled, labels = corpus.build(rows, spec), corpus.labels[rows]
    said = build_default().fit(labelled, labels).predict_proba(extra)
    sure = said.max(axis=1) > 0.8
    both = sparse.vstack([labelled, extra[sure]]).tocsr()
    model = build_default().fit(both, np.concatenate([labels, said[sure].argmax(axis=1)]))
    return lambda other, wanted: np.asarray(model.predict_proba(other.build(wanted, spec)))


def fit_cleaned(corpus: Corpus, rows: Rows) -> Judge:
    """The default without rows whose label other videos speak against (Northcutt et al., JAIR 70, 2021)."""
    fit = learn_matrix(build_default)
    said = np.zeros((len(rows), 3))
    for learn, judge in GroupKFold(5).split(rows, groups=corpus.groups[rows]):
        said[judge] = fit(corpus, rows[learn])(corpus, rows[judge])
    is_kept = said[np.arange(len(rows)), corpus.labels[rows]] > 0.1
    return fit(corpus, rows[is_kept])


def fit_rule(corpus: Corpus, rows: Rows) -> Judge:
    """The lexicon alone: the sign of the net valence, as its authors use it; nothing is learned."""

    def say(other: Corpus, wanted: Rows) -> Floats:
        spec = other.known.matrix
        balance = other.build(wanted, spec)[:, spec.token_dimension + spec.numbers.index("valence_balance")]
        found = np.sign(balance.toarray().ravel()).astype(int) + 1
        return np.eye(3)[found]

    return say


def _say(judges: list[Judge], corpus: Corpus, rows: Rows) -> Floats:
    found: Floats = np.hstack([np.log(np.clip(judge(corpus, rows), 1e-6, 1)) for judge in judges])
    return found


CANDIDATES = (
    Candidate("lexicon rule", fit_rule),
    Candidate("naive Bayes (complement)", learn_matrix(build_bayes, prefixes=False, valence=False, numbers=False)),
    Candidate("NB-SVM weights", learn_matrix(NaiveBayesWeights, prefixes=False, valence=False, numbers=False)),
    Candidate("tokens", learn_matrix(build_default, prefixes=False, valence=False, numbers=False)),
    Candidate("tokens, numbers", learn_matrix(build_default, prefixes=False, valence=False)),
    Candidate("tokens, numbers, prefixes", learn_matrix(build_default, valence=False)),
    Candidate("tokens, numbers, valence", learn_matrix(build_default, prefixes=False)),
    Candidate("tokens, prefixes, valence", learn_matrix(build_default, numbers=False)),
    Candidate("default: all of these", learn_matrix(build_default)),
    Candidate("default, classes as they come", learn_matrix(lambda: build_default(None))),
    Candidate("default, doubtful labels left out", fit_cleaned),
    Candidate("default, self-trained", fit_self_trained, is_slow=True),
    Candidate(
        "text: TF-IDF and logistic regression, untuned",
        learn_text(lambda: make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))),
    ),
    Candidate("text: words, valence", learn_text(lambda: build_text(characters=False), valence=True), is_slow=True),
    Candidate("text: characters too", learn_text(lambda: build_text(characters=True), valence=True), is_slow=True),
    Candidate("boosted trees on 80 latent dimensions", learn_matrix(build_boosted), is_slow=True),
    Candidate("stack of default, naive Bayes, trees", fit_stack, is_slow=True),
)
