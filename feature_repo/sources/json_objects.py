"""One line of JSONL as texts by key, or the reason why it is not one flat enough object.

Which lines there are, and what the keys mean, belongs elsewhere.
"""

import json
from collections.abc import Iterable
from typing import Any


def parse_object(text: str) -> tuple[dict[str, str | None], str | None]:
    """Texts of a JSON object by key, or no texts and the reason code of what is wrong.

    Null stays null, whole numbers have no exponent, booleans are `true` and `false`, nested values are
    their JSON text. A key that occurs twice, NaN, a NUL and half a surrogate pair are refused.

    Examples
    --------
    >>> parse_object('{"id": "a", "likes": 3, "is_new": true, "tags": ["x"], "text": null}')
    ({'id': 'a', 'likes': '3', 'is_new': 'true', 'tags': '["x"]', 'text': None}, None)
    >>> parse_object('{"id": "a", "id": "b"}')
    ({}, 'line_doubled_key')
    """
    try:
        fields = json.loads(text, object_pairs_hook=_build_object, parse_constant=_refuse_constant)
        if not isinstance(fields, dict):
            return {}, "line_not_an_object"
        texts = {key: _build_text(value) for key, value in fields.items()}
        return (texts, None) if _are_characters(texts) else ({}, "line_nul")
    except _BrokenObjectError as error:
        return {}, str(error)
    except (ValueError, RecursionError):
        return {}, "line_not_json"


class _BrokenObjectError(Exception):
    """Legal to Python's parser, but not one clear object; the text is the reason code."""


def _build_object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _BrokenObjectError("line_doubled_key")
    return fields


def _refuse_constant(_name: str) -> None:
    raise _BrokenObjectError("line_not_json")


def _build_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _are_characters(texts: dict[str, str | None]) -> bool:
    """Whether there is no NUL; raises ValueError for half a surrogate pair, which no encoding can write."""
    whole = "".join(part for pair in texts.items() for part in pair if part)
    whole.encode()
    return "\0" not in whole
