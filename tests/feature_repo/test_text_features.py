"""Features of a text: literal tables, golden token ids."""

import hashlib
from typing import Any

import duckdb
import pytest

from feature_repo.features.statements import read_statement


def read_text_features(text: str) -> dict[str, Any]:
    sql = f"with texts as (select $1::varchar as text) {read_statement('text').replace('with split', ', split')}"
    relation = duckdb.execute(sql, [text])
    names = [column[0] for column in relation.description]
    row = relation.fetchone()
    assert row is not None
    return dict(zip(names, row, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sooo GOOD!!", {"text_chars": 11, "word_count": 2, "exclamation_count": 2, "stretch_count": 1}),
        ("GOOD day", {"capital_share": 4 / 7, "mean_word_chars": 3.5}),
        ("can't won’t", {"word_count": 2}),
        ("at 3:45 and 1:02:03, not 3:4", {"video_time_count": 2}),
        ("see https://a.b www.c.d <a href=x>", {"url_count": 3}),
        ("😀🔥 ok", {"emoji_count": 2, "word_count": 1}),
        ("Привет мир", {"non_latin_share": 1.0, "word_count": 2}),
        ("abc где", {"non_latin_share": 0.5}),
        ("?!", {"word_count": 0, "mean_word_chars": 0.0, "capital_share": 0.0, "punctuation_share": 1.0}),
        ("12 34", {"digit_share": 0.8, "question_count": 0}),
    ],
)
def test_text_features(text: str, expected: dict[str, float]) -> None:
    found = read_text_features(text)
    assert {name: pytest.approx(found[name]) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "token_ids"),
    [
        ("?", [454566]),
        ("Привет мир", [833894, 249493, 454240]),
        ("can't &amp; 你好", [849675, 490556, 520998, 292553, 1005397, 189968, 424509, 547388, 862109]),
    ],
)
def test_token_ids_never_change(text: str, token_ids: list[int]) -> None:
    assert read_text_features(text)["token_ids_v1"] == token_ids


@pytest.mark.parametrize(
    ("text", "beginnings"),
    [
        ("four letters?", ["^lett", "^letter"]),
        ("a five7 sevenly", ["^five", "^seve", "^sevenl"]),
        ("four пять привет!!", ["^прив"]),
        ("", []),
    ],
)
def test_longer_words_are_known_by_their_beginnings_too(text: str, beginnings: list[str]) -> None:
    assert read_text_features(text)["prefix_ids_v1"] == [hash_piece(piece) for piece in beginnings]


@pytest.mark.parametrize("word", ["a", "word", "eightbyt", "ninebytes", "привет", "the-longest", "🔥"])
def test_a_token_id_is_plain_arithmetic_on_its_bytes(word: str) -> None:
    assert read_text_features(word)["token_ids_v1"][0] == hash_piece(word.partition("-")[0])


def hash_piece(piece: str) -> int:
    raw = piece.encode()
    long = hashlib.md5(raw, usedforsecurity=False).digest()[8:]
    number = int.from_bytes(raw, "big") if len(raw) <= 8 else int.from_bytes(long, "little")
    return (number % 4093082899 * 2654435761 >> 16) & 0xFFFFF


@pytest.mark.parametrize(
    ("text", "share"), [("this is it", 1.0), ("The cat, the hat", 0.5), ("das ist gut", 0.0), ("!!", 0.0)]
)
def test_english_function_words_hint_at_the_language(text: str, share: float) -> None:
    assert read_text_features(text)["english_word_share"] == share
