"""Traces of what is erased: ids and texts, told apart from what only looks like them.

Pure: patterns over texts and bytes. In which files they are looked for, and what becomes of those, is in `sweep`.
"""

import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from os.path import commonprefix
from typing import Final

STAND_IN: Final = "(erased)"
# Shorter ones, such as the number of a row or a single word, occur by chance: they count as whole values only.
_DISTINCT_ID_CHARS: Final = 6
_DISTINCT_TEXT_CHARS: Final = 12


@dataclass(frozen=True)
class Traces:
    """What is looked for: ids, and texts that no other row has.

    >>> traces = Traces(frozenset({"UgAbc4AaABAg"}))
    >>> traces.is_named('{"id": "UgAbc4AaABAg"}'), traces.is_named('{"id": "UgAbc4AaABAg.reply"}')
    (True, False)
    >>> traces.redact("see UgAbc4AaABAg.")
    'see (erased).'
    """

    ids: frozenset[str]
    texts: frozenset[str] = frozenset()

    @cached_property
    def whole(self) -> str:
        """Pattern of a JSON text in which some value is one of them, in JSON within JSON, too."""
        forms = {form for value in self.ids | self.texts for form in _write_forms(value)}
        return r'\\*"(?:' + _join(forms) + r')\\*"'

    def is_named(self, line: str) -> bool:
        """Whether a line of JSON has one of them as a value, or mentions one."""
        return bool(self._whole.search(line) or self._mention.search(line))

    def redact(self, text: str) -> str:
        """The text without any mention of them."""
        return self._mention.sub(STAND_IN, text)

    def may_be_in(self, content: bytes) -> bool:
        """Whether bytes look like a mention of one, whatever stands around it."""
        return self._bytes.search(content) is not None

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile(self.whole)

    @cached_property
    def _mention(self) -> re.Pattern[str]:
        # A reply's id is that of its thread, a point and more: it is no mention of the thread.
        ids = rf"(?<![\w-])(?:{_join(self._distinct_ids)})(?![\w-]|\.[\w-])"
        return re.compile(f"{ids}|(?:{_join(self._distinct_texts)})")

    @cached_property
    def _bytes(self) -> re.Pattern[bytes]:
        pattern = rf"(?:{_join(self._distinct_ids)})(?!\.[\w-])|(?:{_join(self._distinct_texts)})"
        return re.compile(pattern.encode())

    @property
    def _distinct_ids(self) -> set[str]:
        return {one for one in self.ids if len(one) >= _DISTINCT_ID_CHARS}

    @property
    def _distinct_texts(self) -> set[str]:
        texts = [text for text in self.texts if len(text) >= _DISTINCT_TEXT_CHARS]
        return {form for text in texts for form in (text, html.escape(text), *_write_forms(text))}


def _join(values: Iterable[str]) -> str:
    """Alternatives of a pattern as a tree, in which thousands are searched for as fast as a few; nothing if none.

    >>> _join(["Ugab", "Ugac", "Ug", "x"])
    '(?:Ug(?:a(?:b|c))?|x)'
    """
    words = sorted(set(values))
    return _branch(words) if words else r"[^\s\S]"


def _branch(words: Sequence[str]) -> str:
    prefix = commonprefix([words[0], words[-1]])  # noqa: RUF071 - of sorted texts, no paths
    rest = [word[len(prefix) :] for word in words if word != prefix]
    if not rest:
        return re.escape(prefix)
    branches = "|".join(_branch(list(group)) for _, group in groupby(rest, key=itemgetter(0)))
    return f"{re.escape(prefix)}(?:{branches}){'?' if len(rest) < len(words) else ''}"


def _write_forms(value: str) -> set[str]:
    """How a value stands in JSON, and in JSON within JSON; what is not ASCII as it is, or escaped."""
    once = {json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (False, True)}
    return once | {json.dumps(form, ensure_ascii=False)[1:-1] for form in once}
