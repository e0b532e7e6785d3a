"""Texts described one after the other by a run that does not end: the same features, whatever came before."""

import random
from contextlib import closing

import duckdb
import pytest

from feature_repo.features.text_stream import TextStream
from feature_repo.features.texts import describe_texts

_PIECES = ("love", "Don’t", "GREAT!!", "😀", "é", "5", "https://a.b", "привет", "sooo", "", "!", "中文", "at 3:45")


@pytest.mark.parametrize("sizes", [(1,) * 20, (1, 3_000, 1, 2_048, 2_049, 7), (100,) * 5])
def test_texts_are_described_as_by_themselves(sizes: tuple[int, ...]) -> None:
    chance = random.Random(5)  # noqa: S311 - texts
    with closing(TextStream()) as stream:
        for size in sizes:
            texts = [" ".join(chance.choices(_PIECES, k=chance.randint(0, 9))) for _ in range(size)]
            assert stream.describe(texts).to_pylist() == describe_texts(texts, with_tokens=True).to_pylist()


def test_a_text_that_cannot_be_described_takes_none_of_the_next_along() -> None:
    with closing(TextStream()) as stream:
        for text in ("first", "second"):
            with pytest.raises(duckdb.Error, match="surrogates not allowed"):
                stream.describe(["fine", "\ud800"])
            assert stream.describe([text]).column("tokens").to_pylist() == [[text]]
