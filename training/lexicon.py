"""Lexica of words with a valence, turned into token ids by the statement that makes those of comments.

Only the data of a lexicon are used; what a valence does to a comment is in `valence`.
"""

import csv
from functools import cache
from importlib.metadata import version as read_package_version
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from feature_repo.features.texts import describe_texts
from training.valence import Lexicon

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE: Final = "vaderSentiment"

# English, with and without the apostrophe that people leave out.
_NEGATIONS: Final = (
    *("not", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "cannot"),
    *("rarely", "seldom", "despite", "hardly", "ain't", "aren't", "can't", "couldn't", "daren't", "didn't", "doesn't"),
    *("don't", "hadn't", "hasn't", "haven't", "isn't", "mightn't", "mustn't", "needn't", "oughtn't", "shan't"),
    *("shouldn't", "wasn't", "weren't", "won't", "wouldn't"),
)


@cache
def read_vader(token_column: str) -> Lexicon:
    """The VADER lexicon: some 7,500 words, smileys and emoji, rated by ten people each from -4 to 4.

    It has been the same since 2020, and that is what a feature wants. An emoji has the valence of the words in its
    name. Entries of more than two tokens, one in thirty, are left out; of two words with one id the first counts.

    Parameters
    ----------
    token_column
        Which text feature holds the ids: words first, then pairs.
    """
    valences = _read_words()
    valences |= _read_emoji(valences)
    tokens = _read_ids(list(valences), token_column)
    rated = list(zip(tokens, valences.values(), strict=True))
    negations = [*_NEGATIONS, *(word.replace("'", "") for word in _NEGATIONS if "'" in word)]
    return Lexicon(
        name=f"VADER {read_package_version(_PACKAGE)}",
        words={ids[0]: valence for ids, valence in reversed(rated) if len(ids) == 1},
        pairs={ids[2]: valence for ids, valence in reversed(rated) if len(ids) == 3},  # noqa: PLR2004 - two words and their pair
        negations=tuple(ids[0] for ids in _read_ids(negations, token_column)),
    )


def _read_words() -> dict[str, float]:
    return {word: float(valence) for word, valence, *_ in _read_table("vader_lexicon.txt")}


def _read_emoji(words: dict[str, float]) -> dict[str, float]:
    names = {emoji: name.split() for emoji, name in _read_table("emoji_utf8_lexicon.txt")}
    valences = {emoji: sum(words.get(word, 0.0) for word in name) for emoji, name in names.items()}
    return {emoji: valence for emoji, valence in valences.items() if valence}


def _read_table(name: str) -> list[list[str]]:
    text = files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
    return [row for row in csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE) if row]


def _read_ids(texts: "Sequence[str]", token_column: str) -> list[list[int]]:
    ids: list[list[int]] = describe_texts(texts).column(token_column).to_pylist()
    return ids
