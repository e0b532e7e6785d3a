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
    ids = pc.list_flatten(tokens).to_numpy()
    lengths = pc.fill_null(pc.list_value_length(tokens), 0).to_numpy().astype(np.int64)
    ends, words = np.cumsum(lengths), (lengths + 1) // 2
    tables = _build_tables(lexicon, dimension)
    # Few tokens are in a lexicon: all that follows looks at these alone.
    known = np.flatnonzero(tables.is_known[ids])
    owners = np.searchsorted(ends, known, side="right")
    places = known - (ends - lengths)[owners]
    is_word = places < words[owners]
    spoken, pairs = known[is_word], known[~is_word]
    # The pair of a word and the next one counts where the first of them stands.
    first = pairs - words[owners[~is_word]]
    positions = np.sort(np.concatenate([spoken, first]))
    positions = positions[np.diff(positions, prepend=-1) > 0]
    valences = np.zeros(len(positions))
    valences[np.searchsorted(positions, spoken)] = tables.words[ids[spoken]]
    valences[np.searchsorted(positions, first)] += tables.pairs[ids[pairs]]
    negations = spoken[tables.is_negation[ids[spoken]]]
    owners = np.searchsorted(ends, positions, side="right")
    valences[_find_negated(positions, negations, (ends - lengths)[owners])] *= _TURN
    is_negation = np.zeros(len(positions), np.bool_)
    is_negation[np.searchsorted(positions, negations)] = True
    return _sum_up(valences, is_negation, owners, words)


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """A lexicon as arrays by token id; ids outside the dimension, which no token has, are left out."""

    words: "Floats"
    pairs: "Floats"
    is_negation: NDArray[np.bool_]
    is_known: NDArray[np.bool_]


_tables: Final[dict[tuple[int, int], tuple[Lexicon, _Tables]]] = {}


def _build_tables(lexicon: Lexicon, dimension: int) -> _Tables:
    """The arrays of a lexicon; those of the last one are kept, as long as that is in use."""
    kept = _tables.get((id(lexicon), dimension))
    if kept is not None and kept[0] is lexicon:
        return kept[1]
    words, pairs = _look_up(lexicon.words, dimension), _look_up(lexicon.pairs, dimension)
    is_negation = _look_up(dict.fromkeys(lexicon.negations, 1.0), dimension) > 0
    built = _Tables(words, pairs, is_negation, (words != 0) | (pairs != 0) | is_negation)
    _tables.clear()
    _tables[id(lexicon), dimension] = (lexicon, built)
    return built


def _look_up(valences: Mapping[int, float], dimension: int) -> "Floats":
    table = np.zeros(dimension)
    inside = {token: valence for token, valence in valences.items() if token < dimension}
    table[list(inside.keys())] = list(inside.values())
    return table


def _find_negated(
    positions: NDArray[np.int64], negations: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which positions stand within reach after a negation of the same text, which begins at `starts`."""
    last = np.searchsorted(negations, positions) - 1  # the last negation before
    nearest = np.append(negations, -1)[last] if len(negations) else np.full(len(positions), -1)
    is_there: NDArray[np.bool_] = (last >= 0) & (nearest >= starts) & (positions - nearest <= _REACH)
    return is_there


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
