"""The texts of the sample: a grammar that writes one comment in a given voice.

Belongs here: how a sentence is drawn, filled, dressed and misspelt. The vocabulary is data, in
`sample_phrases.toml`. Does not belong here: who comments when (`sample_history`) and files (`sample`).
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

MOODS = ("negative", "neutral", "positive")
SPAM = "spam"

_SLOT = re.compile(r"\{(\w+)\}")
_LAST_VOWEL = re.compile(r"[aeiouáéíó](?=[^aeiouáéíó]*$)")
_ENDS = ("", "", "", ".", ".", "!", "!!", "...")
_ADDRESSES = frozenset({"site", "claim", "page"})
_CAPITALISED_SHARE = 0.55  # of sentences: begin with a capital
_FITTING_EMOJI_SHARE = 0.8  # of emoji: fit the mood
_DRIFT_EMOJI_SHARE = 0.5  # of emoji in the drifting week: the alarm of that week
# Where a list for all moods exists it hides the mood; elsewhere the plain sentences stand in.
_SHARED_FORM = "short"


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: a mood (or `spam`), a language and a topic of the vocabulary, and in which week."""

    mood: str
    language: str
    topic: str
    is_drifting: bool


@cache
def phrases() -> dict[str, Any]:
    """The vocabulary, as read from `sample_phrases.toml`."""
    return tomllib.loads(Path(__file__).with_name("sample_phrases.toml").read_text(encoding="utf-8"))


def pick(options: Sequence[str], rng: Random) -> str:
    """One of the options, the early ones more often, as common words are."""
    return options[int(len(options) * rng.random() ** 1.4)]


def pick_weighted(weights: Mapping[str, float], rng: Random) -> str:
    """One of the keys, by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def write_text(voice: Voice, rng: Random) -> str:
    """One comment in this voice: a sentence, then the changes that its occasion makes to sentences.

    Parameters
    ----------
    voice
        Mood, language, topic and week. Spam is written in English with a few lines in other languages.
    rng
        The only source of chance; the same state gives the same text.

    Returns
    -------
    str
        Not empty, no leading or trailing blank; may hold line breaks, quotes, emoji and addresses.
    """
    shares = _shares(voice)
    text = _finish(_sentence(voice, is_news=rng.random() < shares["about"], rng=rng), rng)
    for name, change in _CHANGES:
        if rng.random() < shares[name]:
            text = change(text, voice, rng)
    return text


def write_title(topic: str, *, is_drifting: bool, rng: Random) -> str:
    """A video title on the topic, in the drifting week on the news of that week."""
    templates = phrases()["titles"]["drift" if is_drifting else "usual"]
    title = _expand(pick(templates, rng), _words("en", topic, is_news=is_drifting), rng=rng)
    return title[0].upper() + title[1:]


def edit_text(text: str, rng: Random) -> str:
    """The text after its author came back to it: always another text, in the same mood."""
    return pick(phrases()["edits"], rng).replace("{text}", text)


def write_handle(number: int) -> str:
    """The raw, invented handle of the author with this number."""
    first, second = phrases()["authors"]["first"], phrases()["authors"]["second"]
    return f"@{first[number % len(first)]}_{second[number // 7 % len(second)]}{number:04d}"


def _shares(voice: Voice) -> dict[str, float]:
    if voice.mood == SPAM:
        occasion = "spam_drift" if voice.is_drifting else "spam"
    else:
        occasion = "drift" if voice.is_drifting else "usual"
    shares: dict[str, float] = phrases()["dress"][occasion]
    return shares


def _sentence(voice: Voice, *, is_news: bool, rng: Random) -> str:
    words = _words(voice.language, voice.topic, is_news=is_news)
    form = pick_weighted(phrases()["forms"][voice.mood], rng)
    if is_news and rng.random() < phrases()["forms"]["news_share"]:
        form = "drift"
    return _expand(pick(_templates(voice, form), rng), words, rng=rng)


def _templates(voice: Voice, form: str) -> list[str]:
    language = phrases()[voice.language]
    forms: dict[str, list[str]] = language[voice.mood]
    if form == _SHARED_FORM and form in language:
        return list(language[form])
    return forms.get(form, forms["plain"])


@cache
def _words(language: str, topic: str, *, is_news: bool) -> dict[str, list[str]]:
    book = phrases()
    words: dict[str, list[str]] = book["words"] | book["topics"][topic] | book[language]
    return words | {"thing": words["drift"]} if is_news else words


def _expand(template: str, words: Mapping[str, Sequence[str]], *, rng: Random) -> str:
    return _SLOT.sub(lambda slot: _fill(slot[1], words, rng=rng), template)


def _fill(slot: str, words: Mapping[str, Sequence[str]], *, rng: Random) -> str:
    if slot in _NUMBERS:
        return _NUMBERS[slot](rng)
    word = pick(words[slot], rng)
    return _address(word, rng) if slot in _ADDRESSES else word


def _address(host: str, rng: Random) -> str:
    """Links as people and bots write them, also broken apart to slip past a filter."""
    ending = f"{rng.randrange(16**4):04x}"
    forms = (f"https://{host}/{ending}", f"https://{host}", f"www.{host}", host, host.replace(".", " . "))
    return pick(forms, rng)


_NUMBERS: dict[str, Callable[[Random], str]] = {
    "clock": lambda rng: f"{rng.randrange(0, 24)}:{rng.randrange(60):02d}",
    "digit": lambda rng: str(rng.randrange(2, 10)),
    "number": lambda rng: str(rng.randrange(2, 99) * 10 ** rng.randrange(1, 4)),
}


def _finish(text: str, rng: Random) -> str:
    end = pick(_ENDS, rng) if text[-1].isalnum() else ""
    return (text[:1].upper() + text[1:] if rng.random() < _CAPITALISED_SHARE else text) + end


def _say_more(text: str, voice: Voice, rng: Random) -> str:
    """One to many further sentences in the same mood: a few comments are very long."""
    further = [_finish(_sentence(voice, is_news=False, rng=rng), rng) for _ in range(int(rng.paretovariate(1.5)))]
    return " ".join((text, *further[:40]))


def _add_tail(text: str, voice: Voice, rng: Random) -> str:
    words = _words(voice.language, voice.topic, is_news=False)
    return f"{text} {_expand(pick(words['tail'], rng), words, rng=rng)}" if "tail" in words else text


def _misspell(text: str, _voice: Voice, rng: Random) -> str:
    return _in_one_word(text, _with_typo, rng=rng)


def _elongate(text: str, _voice: Voice, rng: Random) -> str:
    return _in_one_word(text, _with_long_vowel, rng=rng) + "!" * rng.randrange(3)


def _in_one_word(text: str, change: Callable[[str, Random], str], *, rng: Random) -> str:
    """The text with one word changed; an address stays whole, or it might become somebody's."""
    words = text.split(" ")
    at = rng.randrange(len(words))
    if words[at] and "." not in words[at]:
        words[at] = change(words[at], rng)
    return " ".join(words)


def _with_typo(word: str, rng: Random) -> str:
    at = rng.randrange(len(word))
    swapped, doubled = word[:at] + word[at : at + 2][::-1] + word[at + 2 :], word[: at + 1] + word[at:]
    return rng.choice((swapped, doubled, word[:at] + word[at + 1 :])).strip() or word


def _with_long_vowel(word: str, rng: Random) -> str:
    return _LAST_VOWEL.sub(lambda vowel: vowel[0] * rng.randrange(3, 8), word)


def _shout(text: str, _voice: Voice, _rng: Random) -> str:
    return text.upper()


def _quote(text: str, voice: Voice, rng: Random) -> str:
    quoted = _sentence(replace(voice, mood=rng.choice(MOODS)), is_news=False, rng=rng)
    return f'"{quoted}"\n{text}'


def _add_clock(text: str, _voice: Voice, rng: Random) -> str:
    return f"{_NUMBERS['clock'](rng)} {text}"


def _add_url(text: str, voice: Voice, rng: Random) -> str:
    slot = "page" if voice.mood != SPAM else "claim" if voice.is_drifting else "site"
    return f"{text} {_fill(slot, phrases()['words'], rng=rng)}"


def _add_emoji(text: str, voice: Voice, rng: Random) -> str:
    """Emoji mostly fit the mood; a fifth are borrowed, so that none of them gives it away."""
    kind = voice.mood if rng.random() < _FITTING_EMOJI_SHARE else rng.choice(MOODS)
    if voice.is_drifting and rng.random() < _DRIFT_EMOJI_SHARE:
        kind = "drift"
    return f"{text} {pick(phrases()['emoji'][kind], rng) * rng.choice((1, 1, 2, 3))}"


# The order in which a sentence is dressed: words first, then spelling, then what stands around it.
_CHANGES: tuple[tuple[str, Callable[[str, Voice, Random], str]], ...] = (
    ("more", _say_more),
    ("tail", _add_tail),
    ("typo", _misspell),
    ("elongate", _elongate),
    ("capitals", _shout),
    ("quote", _quote),
    ("clock", _add_clock),
    ("url", _add_url),
    ("emoji", _add_emoji),
)
