"""Authors at the door: hashed with a key before anything of a row is written, even to staging.

Ids built from an author are therefore built from the hash: a replay, which only has the hash, arrives at
the same ids, and an id cannot be used to try out names. What is done with an author's rows later belongs
elsewhere.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from feature_repo.sources.readers import RawRow

_HASHED: Final = re.compile(r"hmac:[0-9a-f]{32}")
# A column that the mapping does not use may still name a person, and the quarantine keeps whole rows.
_PERSONAL: Final = re.compile(r"author|user|commenter|handle|nick", re.IGNORECASE)
_JSON_KEY: Final = re.compile(r'"([^"]*)"\s*:')


class AuthorHasher:
    """Keyed hash of authors: `hmac:` and the first 32 hex digits of HMAC-SHA-256 (RFC 2104).

    Parameters
    ----------
    key
        Key of the hash; whoever has it can tell which hash is whose.
    """

    __slots__ = ("_prepared",)

    def __init__(self, key: bytes) -> None:
        self._prepared = hmac.new(key, digestmod="sha256")

    def hash_author(self, author: str) -> str:
        """The hash of an author.

        White space around the author does not count. A blank author stays blank, and what is already
        such a hash stays as it is.
        """
        author = author.strip()
        if not author or (author.startswith("hmac:") and _HASHED.fullmatch(author)):
            return author
        keyed = self._prepared.copy()
        keyed.update(author.encode())
        return "hmac:" + keyed.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AuthorHider:
    """Replaces the authors in raw rows.

    Parameters
    ----------
    hasher
        What they are replaced by.
    author_columns
        Source columns that hold an author.
    other_columns
        Source columns that are known to hold something else, whatever their name sounds like.
    """

    hasher: AuthorHasher
    author_columns: frozenset[str]
    other_columns: frozenset[str]

    def hide_authors(self, rows: Iterable[RawRow], columns: tuple[str, ...] | None) -> Iterator[RawRow]:
        """The rows with every author hashed, and broken lines withheld where one could be in them.

        Parameters
        ----------
        columns
            Columns of the file; None if they differ from row to row.
        """
        has_author = bool(self.author_columns if columns is None else self._sort_columns(columns)[0])
        for row in rows:
            yield self._hide_in_line(row, has_author=has_author) if row.fault else self._hide_in_row(row)

    def _hide_in_line(self, row: RawRow, *, has_author: bool) -> RawRow:
        if not has_author and not _has_personal_key(row.values[0] or ""):
            return row
        note = "withheld: the author in it cannot be told from the rest"
        return row._replace(keys=("line", "note"), values=(None, note))

    def _hide_in_row(self, row: RawRow) -> RawRow:
        places, unknown = self._sort_columns(row.keys)
        if not places and not unknown:
            return row
        values = list(row.values)
        for place in places:
            values[place] = self._hash(values[place])
        for place in unknown:
            value = values[place]
            if value and value.startswith(("{", "[")) and _has_personal_key(value):
                values[place] = self._hash(value)
        return RawRow(row.position, row.keys, tuple(values))

    def _hash(self, value: str | None) -> str | None:
        return value and self.hasher.hash_author(value)

    def _sort_columns(self, columns: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return _sort_columns(columns, self.author_columns, self.other_columns)


@lru_cache(maxsize=1024)
def _sort_columns(
    columns: tuple[str, ...], author_columns: frozenset[str], other_columns: frozenset[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the columns that hold an author or sound as if they did, and of those nothing is known of."""
    personal, unknown = [], []
    for place, column in enumerate(columns):
        if column in author_columns or (column not in other_columns and _PERSONAL.search(column)):
            personal.append(place)
        elif column not in other_columns:
            unknown.append(place)
    return tuple(personal), tuple(unknown)


def _has_personal_key(json: str) -> bool:
    return any(_PERSONAL.search(key) for key in _JSON_KEY.findall(json))
