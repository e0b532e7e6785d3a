from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.features.texts import describe_texts
from training.lexicon import read_vader
from training.valence import VALENCE_COLUMNS, Lexicon, measure_valence

GOOD, BAD, NOT, SMILE, PLAIN = 1, 2, 3, 40, 5
LEXICON = Lexicon("tiny", words={GOOD: 2.0, BAD: -3.0}, pairs={SMILE: 1.5}, negations=(NOT,))
DIMENSION = 64


def measure(*comments: list[int] | None) -> list[dict[str, float]]:
    tokens = pa.chunked_array([pa.array(comments, pa.list_(pa.uint32()))])
    return [dict(zip(VALENCE_COLUMNS, row, strict=True)) for row in measure_valence(tokens, LEXICON, DIMENSION)]


def write(*words: int, pairs: dict[int, int] | None = None) -> list[int]:
    """Tokens of a comment: its words, then one id for each pair of neighbours, `pairs` by the place of the first."""
    between = [PLAIN] * max(len(words) - 1, 0)
    for place, pair in (pairs or {}).items():
        between[place] = pair
    return [*words, *between]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (write(GOOD), {"positive_valence_sum": 2.0, "positive_word_share": 1.0, "negative_word_count": 0.0}),
        (write(GOOD, BAD, PLAIN), {"negative_valence_sum": 3.0, "negative_word_share": 1 / 3}),
        (write(GOOD), {"valence_balance": 2 / np.sqrt(4 + 15)}),
        (write(NOT, GOOD), {"negative_valence_sum": 1.48, "positive_word_count": 0.0, "negation_count": 1.0}),
        (write(NOT, BAD), {"positive_valence_sum": 2.22}),
        (write(NOT, PLAIN, PLAIN, GOOD), {"negative_valence_sum": 1.48}),
        (write(NOT, PLAIN, PLAIN, PLAIN, GOOD), {"positive_valence_sum": 2.0}),
        (write(GOOD, NOT), {"positive_valence_sum": 2.0, "negation_count": 1.0}),
        (write(PLAIN, PLAIN, PLAIN, pairs={1: SMILE}), {"positive_valence_sum": 1.5, "positive_word_count": 1.0}),
        (write(NOT, PLAIN, PLAIN, pairs={1: SMILE}), {"negative_valence_sum": 1.11}),
        ([], dict.fromkeys(VALENCE_COLUMNS, 0.0)),
        (None, dict.fromkeys(VALENCE_COLUMNS, 0.0)),
    ],
)
def test_what_a_comment_is_worth(comment: list[int] | None, expected: dict[str, float]) -> None:
    found = measure(comment)[0]
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_negation_does_not_reach_into_the_next_comment() -> None:
    assert measure(write(PLAIN, NOT), write(GOOD))[1]["positive_valence_sum"] == 2.0


def measure_plainly(words: list[int], pairs: list[int]) -> tuple[float, float]:
    """Positive and negative sums of one comment, word by word."""
    good = bad = 0.0
    for place, word in enumerate(words):
        valence = LEXICON.words.get(word, 0.0)
        if place < len(pairs):
            valence += LEXICON.pairs.get(pairs[place], 0.0)
        if any(before in LEXICON.negations for before in words[max(place - 3, 0) : place]):
            valence *= -0.74
        good, bad = good + max(valence, 0.0), bad + max(-valence, 0.0)
    return good, bad


COMMENTS = st.lists(st.lists(st.sampled_from([GOOD, BAD, NOT, PLAIN, SMILE]), max_size=12), min_size=1, max_size=8)


@given(COMMENTS)
def test_many_comments_at_once_are_measured_as_each_by_itself(comments: list[list[int]]) -> None:
    pairs = [[one if one == other else PLAIN for one, other in pairwise(words)] for words in comments]
    found = measure(*(words + between for words, between in zip(comments, pairs, strict=True)))
    for words, between, row in zip(comments, pairs, found, strict=True):
        expected = measure_plainly(words, between)
        assert (row["positive_valence_sum"], row["negative_valence_sum"]) == pytest.approx(expected)


def test_ids_outside_the_dimension_are_no_one_s() -> None:
    wide = Lexicon("wide", words={DIMENSION + 1: 2.0}, pairs={}, negations=())
    assert not measure_valence(pa.chunked_array([[[1, 2, 3]]]), wide, DIMENSION).any()


def test_a_lexicon_survives_json() -> None:
    assert Lexicon.from_json(LEXICON.to_json()) == LEXICON


def test_the_lexicon_of_vader_speaks_the_tokens_of_comments() -> None:
    lexicon = read_vader("token_ids_v1")
    assert len(lexicon.words) > 7_000
    texts = ["I love this", "I don't love this", "i dont hate this", "awful :(", "😍", "the table stands there"]
    tokens = describe_texts(texts).column("token_ids_v1")
    balance = measure_valence(tokens, lexicon, 1 << 20)[:, VALENCE_COLUMNS.index("valence_balance")]
    assert np.sign(balance).tolist() == [1, -1, 1, -1, 1, 0]
    words = describe_texts(["love", "awful"]).column("token_ids_v1").to_pylist()
    assert [lexicon.words[ids[0]] for ids in words] == [3.2, -2.0]
