import json
import re
import statistics
import unicodedata
from collections import Counter
from random import Random

import pytest

from flows.sample_text import MOODS, SPAM, Voice, edit_text, phrases, write_handle, write_text, write_title

SCRIPT_OF = {
    "en": "LATIN",
    "es": "LATIN",
    "pt": "LATIN",
    "de": "LATIN",
    "ru": "CYRILLIC",
    "hi": "DEVANAGARI",
    "ar": "ARABIC",
    "ja": "HIRAGANA",
    "zh": "CJK",
}
TOPICS = sorted(phrases()["topics"])


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - repeatable on purpose


def _texts(voice: Voice, count: int) -> list[str]:
    rng = _chance(7)
    return [write_text(voice, rng) for _ in range(count)]


@pytest.fixture(scope="module")
def usual() -> list[str]:
    rng = _chance(1)
    voices = [Voice(mood, "en", topic, is_drifting=False) for mood in MOODS for topic in TOPICS]
    return [write_text(voice, rng) for voice in voices for _ in range(60)]


def test_a_text_follows_from_the_state_of_chance_alone() -> None:
    voice = Voice("positive", "en", "music", is_drifting=False)
    assert _texts(voice, 20) == _texts(voice, 20)
    assert len(set(_texts(voice, 20))) > 15


@pytest.mark.parametrize("mood", [*MOODS, SPAM])
@pytest.mark.parametrize("is_drifting", [False, True])
def test_every_voice_writes_whole_texts(mood: str, is_drifting: bool) -> None:  # noqa: FBT001 - a case
    for language in ["en"] if mood == SPAM else SCRIPT_OF:
        for text in _texts(Voice(mood, language, "film", is_drifting), 30):
            assert text == text.strip() != ""
            assert not re.search(r"[{}]", text)


@pytest.mark.parametrize(("language", "script"), SCRIPT_OF.items())
def test_languages_write_in_their_script(language: str, script: str) -> None:
    text = "".join(_texts(Voice("positive", language, "music", is_drifting=False), 30))
    scripts = Counter(unicodedata.name(letter).split()[0] for letter in text if letter.isalpha())
    assert script in [name for name, _ in scripts.most_common(2)]


def test_every_template_can_be_filled_on_every_topic() -> None:
    book = phrases()
    for language in SCRIPT_OF:
        for topic in book["topics"].values():
            known = {*book["words"], *topic, *book[language], "clock", "digit", "number"}
            assert set(re.findall(r"\{(\w+)\}", json.dumps(book[language]))) <= known


@pytest.mark.parametrize(
    ("pattern", "lowest", "highest"),
    [
        (r"https?://|\.example", 0.01, 0.06),
        (r"[\U0001F300-\U0001FAFF❤]", 0.2, 0.3),
        (r"\b\d{1,2}:\d\d\b", 0.1, 0.25),
        (r'^".+"\n', 0.01, 0.06),
        (r"!!", 0.05, 0.15),
        (r"([aeiou])\1\1", 0.02, 0.1),
        (r"\A[^a-z]*[A-Z]{3}[^a-z]*\Z", 0.01, 0.08),
    ],
    ids=["address", "emoji", "clock", "quote", "exclamation", "elongation", "capitals"],
)
def test_texts_are_dressed_as_people_dress_them(usual: list[str], pattern: str, lowest: float, highest: float) -> None:
    assert lowest < sum(bool(re.search(pattern, text)) for text in usual) / len(usual) < highest


def test_texts_vary_and_a_few_are_long(usual: list[str]) -> None:
    assert len(set(usual)) / len(usual) > 0.9
    assert statistics.median(map(len, usual)) < 70
    assert max(map(len, usual)) > 400


def test_sarcasm_uses_the_words_of_praise() -> None:
    book = phrases()["en"]
    assert len(set(book["negative"]["sarcasm"]) & set(book["positive"]["echo"])) >= 4
    assert "great, another {thing}. just what i needed" in book["negative"]["sarcasm"]


def test_every_address_is_reserved_for_examples() -> None:
    spam = [text for topic in TOPICS for text in _texts(Voice(SPAM, "en", topic, is_drifting=True), 60)]
    hosts = [host.rstrip(".") for text in spam for host in re.findall(r"https?://([\w.-]+)", text.lower())]
    assert len(hosts) > 100
    assert all(re.fullmatch(r"[\w.-]+\.example", host) for host in hosts)


@pytest.mark.parametrize(("mood", "word"), [("negative", "patch|wipe|rollback"), (SPAM, "patch|wipe|rollback")])
def test_the_drifting_week_has_a_vocabulary_of_its_own(mood: str, word: str) -> None:
    before, after = (_texts(Voice(mood, "en", "gaming", is_drifting), 300) for is_drifting in (False, True))
    assert not [text for text in before if re.search(word, text.lower())]
    assert sum(bool(re.search(word, text.lower())) for text in after) > 100


def test_an_edit_is_another_text_that_keeps_the_words() -> None:
    rng = _chance(1)
    edits = [edit_text("the ending was great", rng) for _ in range(20)]
    assert all("the ending was great" in edit != "the ending was great" for edit in edits)
    assert len(set(edits)) > 3


def test_titles_speak_of_the_topic() -> None:
    rng = _chance(1)
    things = phrases()["topics"]["cooking"]
    for is_drifting, words in ((False, things["thing"]), (True, things["drift"])):
        title = write_title("cooking", is_drifting=is_drifting, rng=rng)
        assert title[0].isupper()
        assert any(word in title.lower() for word in words)


def test_handles_are_unique() -> None:
    assert write_handle(0) == "@quiet_otter0000"
    assert len({write_handle(number) for number in range(12_000)}) == 12_000
