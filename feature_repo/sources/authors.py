"""Authors at the door: hashed with a key before anything of a row is written, even to staging.

Ids built from an author are therefore built from the hash: a replay, which only has the hash, arrives at
the same ids, and an id cannot be used to try out names. What is done with an author's rows later belongs
elsewhere.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from feature_repo.sources.readers import RawRow

_HASHED: Final = re.compile(r"hmac:[0-9a-f]{32}")
# A column that the mapping does not use may still name a person, and the quarantine keeps whole rows.
_PERSONAL_WORDS: Final = r"author|user|commenter|handle|nick"
_PERSONAL_COLUMN: Final = re.compile(_PERSONAL_WORDS, re.IGNORECASE)
_PERSONAL_KEY: Final = re.compile(rf'"[^"]*(?:{_PERSONAL_WORDS})[^"]*"\s*:', re.IGNORECASE)


def hash_author(key: bytes, author: str) -> str:
    """Keyed hash of an author: `hmac:` and the first 32 hex digits of HMAC-SHA-256 (RFC 2104).

    White space around the author does not count. A blank author stays blank, and what is already such a
    hash stays as it is.
    """
    author = author.strip()
    if not author or _HASHED.fullmatch(author):
        return author
    return "hmac:" + hmac.digest(key, author.encode(), "sha256").hex()[:32]


@dataclass(frozen=True, slots=True)
class AuthorHider:
    """Replaces the authors in raw rows.

    Parameters
    ----------
    key
        Key of the hash.
    author_columns
        Source columns that hold an author.
    other_columns
        Source columns that are known to hold something else, whatever their name sounds like.
    """

    key: bytes = field(repr=False)
    author_columns: frozenset[str]
    other_columns: frozenset[str]

    def hide_authors(self, rows: Iterable[RawRow], columns: tuple[str, ...] | None) -> Iterator[RawRow]:
        """The rows with every author hashed, and broken lines withheld where one could be in them.

        Parameters
        ----------
        columns
            Columns of the file; None if they differ from row to row.
        """
        has_author = bool(self.author_columns if columns is None else self._find_personal(columns))
        for row in rows:
            yield self._hide_in_line(row, has_author=has_author) if row.fault else self._hide_in_row(row)

    def _hide_in_line(self, row: RawRow, *, has_author: bool) -> RawRow:
        if not has_author and not _PERSONAL_KEY.search(row.values[0] or ""):
            return row
        note = "withheld: the author in it cannot be told from the rest"
        return row._replace(keys=("line", "note"), values=(None, note))

    def _hide_in_row(self, row: RawRow) -> RawRow:
        places = [*self._find_personal(row.keys), *self._find_personal_json(row)]
        if not places:
            return row
        values = list(row.values)
        for place in places:
            value = values[place]
            values[place] = value and hash_author(self.key, value)
        return row._replace(values=tuple(values))

    def _find_personal(self, columns: tuple[str, ...]) -> tuple[int, ...]:
        return _find_personal(columns, self.author_columns, self.other_columns)

    def _find_personal_json(self, row: RawRow) -> list[int]:
        return [
            place
            for place, value in enumerate(row.values)
            if value
            and value.startswith(("{", "["))
            and row.keys[place] not in self.other_columns
            and _PERSONAL_KEY.search(value)
        ]


@lru_cache(maxsize=1024)
def _find_personal(
    columns: tuple[str, ...], author_columns: frozenset[str], other_columns: frozenset[str]
) -> tuple[int, ...]:
    """Places of the columns that hold an author, or sound as if they did and are not known better."""
    return tuple(
        place
        for place, column in enumerate(columns)
        if column in author_columns or (column not in other_columns and _PERSONAL_COLUMN.search(column))
    )
