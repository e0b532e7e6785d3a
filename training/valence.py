"""How well or badly a comment speaks by the lexicon: valences of its words, in numbers beside its tokens.

Scoring workers import this module: it knows NumPy and Arrow alone. Where a lexicon comes from is in `lexicon`.

The rules are the simple part of VADER's (Hutto and Gilbert, *VADER: A Parsimonious Rule-based Model for Sentiment
Analysis of Social Media Text*, ICWSM 2014): a word within three words after a negation turns, and loses a quarter of
its strength. Its other rules (intensifiers, "but") made no difference on real comments beside learned weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from training.model import Floats

VALENCE_COLUMNS: Final = (
    "positive_valence_sum",
    "negative_valence_sum",
    "positive_word_count",
    "negative_word_count",
    "positive_word_share",
    "negative_word_share",
    "valence_balance",
    "negation_count",
)

_TURN: Final = -0.74  # what a negation makes of a valence, and
_REACH: Final = 3  # how many words it reaches: both from Hutto and Gilbert
_BALANCE: Final = 15.0  # where the balance is half way to its limit: theirs too


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Valences, -4 (bad) to 4 (good), by token id; one word may be two tokens, such as a smiley.

    Parameters
    ----------
    name
        Which lexicon, and which release of it.
    words, pairs
        Valence of a word by its id, and of two neighbours by the id of their pair.
    negations
        Ids of the words that turn what follows.
    """

    name: str
    words: Mapping[int, float]
    pairs: Mapping[int, float]
    negations: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Express the lexicon in types that JSON has: pairs of id and valence."""
        return {
            "name": self.name,
            "words": [list(one) for one in self.words.items()],
            "pairs": [list(one) for one in self.pairs.items()],
            "negations": list(self.negations),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Lexicon":
        """Build the lexicon that `to_json` expressed."""
        return cls(values["name"], dict(values["words"]), dict(values["pairs"]), tuple(values["negations"]))


def measure_valence(tokens: pa.ChunkedArray, lexicon: Lexicon, dimension: int) -> "Floats":
    """Measure the valence of comments from their tokens, in order.

    Parameters
    ----------
    tokens
        One list of ids below the dimension per comment: its n words in their order, then the n - 1 pairs of
        neighbours, as `token_ids_v1` holds them. Nulls and empty lists have no valence.

    Returns
    -------
    Shape (rows, 8), in the order of `VALENCE_COLUMNS`: sums of valences and counts of words on either side after
    negations, those counts as shares of all words, the net valence s as s / sqrt(s² + 15) (-1 to 1), negations.

    >>> lexicon = Lexicon("tiny", words={1: 3.0, 2: -2.0}, pairs={}, negations=(5,))
    >>> good, not_good = [1], [5, 1, 9]
    >>> measure_valence(pa.chunked_array([[good, not_good, None]]), lexicon, 10)[:, :2].round(2).tolist()
    [[3.0, 0.0], [0.0, 2.22], [0.0, 0.0]]
    """
    ids = pc.list_flatten(tokens).to_numpy().astype(np.int64)
    lengths = pc.fill_null(pc.list_value_length(tokens), 0).to_numpy().astype(np.int64)
    words = (lengths + 1) // 2
    comments = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(ids)) - (np.cumsum(lengths) - lengths)[comments]
    is_word = places < words[comments]
    owners, places_in_text = comments[is_word], places[is_word]

    valences = _look_up(lexicon.words, dimension)[ids[is_word]]
    # The pair of a word and the next one counts where the first of them stands.
    pairs = ~is_word
    first = (np.cumsum(words) - words)[comments[pairs]] + places[pairs] - words[comments[pairs]]
    valences[first] += _look_up(lexicon.pairs, dimension)[ids[pairs]]
    is_negation = _look_up(dict.fromkeys(lexicon.negations, 1.0), dimension)[ids[is_word]] > 0
    valences[_find_negated(is_negation, places_in_text)] *= _TURN
    return _sum_up(valences, is_negation, owners, words)


def _look_up(valences: Mapping[int, float], dimension: int) -> "Floats":
    """The valences as an array by id; ids outside the dimension, which no token has, are left out."""
    table = np.zeros(dimension)
    inside = {token: valence for token, valence in valences.items() if token < dimension}
    table[list(inside.keys())] = list(inside.values())
    return table


def _find_negated(is_negation: NDArray[np.bool_], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    is_negated = np.zeros_like(is_negation)
    for distance in range(1, min(_REACH, max(len(places) - 1, 0)) + 1):
        is_negated[distance:] |= is_negation[:-distance] & (places[distance:] >= distance)
    return is_negated


def _sum_up(
    valences: "Floats", is_negation: NDArray[np.bool_], owners: NDArray[np.int64], words: NDArray[np.int64]
) -> "Floats":
    def add(values: NDArray[Any]) -> "Floats":
        return np.bincount(owners, weights=values, minlength=len(words)).astype(np.float64)

    good, bad = add(np.maximum(valences, 0)), add(np.maximum(-valences, 0))
    good_words, bad_words = add(valences > 0), add(valences < 0)
    net, all_words = good - bad, np.maximum(words, 1)
    return np.column_stack(
        [
            good,
            bad,
            good_words,
            bad_words,
            good_words / all_words,
            bad_words / all_words,
            net / np.sqrt(net**2 + _BALANCE),
            add(is_negation),
        ]
    )
