"""Authors are hashed wherever they may stand, and nothing else is."""

import hmac

import pytest

from feature_repo.sources.authors import AuthorHasher, AuthorHider
from feature_repo.sources.readers import RawRow

HASHER = AuthorHasher(b"key")
ANN = "hmac:" + hmac.new(b"key", b"Ann", "sha256").hexdigest()[:32]


@pytest.mark.parametrize(
    ("author", "hashed"),
    [
        ("Ann", ANN),
        (" Ann\n", ANN),
        (ANN, ANN),
        ("", ""),
        ("  ", ""),
        ("hmac:nonsense", HASHER.hash_author("hmac:nonsense")),
        ("Änn 😃", "hmac:" + hmac.new(b"key", "Änn 😃".encode(), "sha256").hexdigest()[:32]),
    ],
)
def test_an_author_has_one_hash(author: str, hashed: str) -> None:
    assert HASHER.hash_author(author) == hashed


def test_another_key_is_another_hash() -> None:
    assert AuthorHasher(b"other").hash_author("Ann") != ANN
    assert HASHER.hash_author("hmac:nonsense").startswith("hmac:")


@pytest.mark.parametrize(
    ("column", "value", "hidden"),
    [
        ("who", "Ann", ANN),
        ("who", None, None),
        ("authorDisplayName", "Ann", ANN),
        ("USER_NAME", "Ann", ANN),
        ("user_rating", "Ann", "Ann"),
        ("text", '{"author": "Ann"}', '{"author": "Ann"}'),
        ("more", "Ann", "Ann"),
        ("more", '{"title": "author"}', '{"title": "author"}'),
        ("more", '{"author": "Ann"}', HASHER.hash_author('{"author": "Ann"}')),
        ("more", '[{"top": {"userName" : "Ann"}}]', HASHER.hash_author('[{"top": {"userName" : "Ann"}}]')),
    ],
)
def test_a_value_is_hidden_if_it_is_or_may_be_an_author(column: str, value: str | None, hidden: str | None) -> None:
    hider = AuthorHider(HASHER, frozenset({"who"}), frozenset({"text", "user_rating"}))
    (row,) = hider.hide_authors([RawRow(1, ("id", column), ("1", value))], None)
    assert row == RawRow(1, ("id", column), ("1", hidden))


@pytest.mark.parametrize(
    ("author_columns", "columns", "line", "is_kept"),
    [
        ({"who"}, ("id", "who"), "a,b,c", False),
        ({"who"}, ("id", "text"), "a,b,c", True),
        ({"who"}, None, '{"id": "a"', False),
        (set(), None, '{"id": "a"', True),
        (set(), None, '{"author": "a"', False),
        (set(), ("id", "user"), "a,b,c", False),
    ],
)
def test_a_broken_line_is_withheld_if_an_author_may_be_in_it(
    author_columns: set[str],
    columns: tuple[str, ...] | None,
    line: str,
    is_kept: bool,  # noqa: FBT001 - one column of the table
) -> None:
    hider = AuthorHider(HASHER, frozenset(author_columns), frozenset())
    (row,) = hider.hide_authors([RawRow(1, ("line",), (line,), "line_field_count")], columns)
    withheld = (None, "withheld: the author in it cannot be told from the rest")
    assert row.values == ((line,) if is_kept else withheld)


def test_a_hostile_value_is_searched_in_one_pass() -> None:
    """A pattern that tries every 'user' with every end would take hours."""
    value = '{"' + "user" * 250_000
    hider = AuthorHider(HASHER, frozenset(), frozenset())
    (row,) = hider.hide_authors([RawRow(1, ("more",), (value,))], None)
    assert row.values == (value,)
