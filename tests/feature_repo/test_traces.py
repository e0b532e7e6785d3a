"""What is a trace of an erased comment, and what only looks like one."""

import json

import pytest

from feature_repo.traces import STAND_IN, Traces

COMMENT = "UgxKREWxIgDrw8w2e_Z4AaABAg"
TEXT = 'a "quoted" text\nof two lines, <b>ä</b>'
TRACES = Traces(frozenset({COMMENT, "7"}), frozenset({TEXT, "short"}))


@pytest.mark.parametrize(
    ("value", "is_named"),
    [
        ({"id": COMMENT}, True),
        ({"id": "7"}, True),
        ({"id": 7}, False),  # numbers are everywhere
        ({"id": "17"}, False),
        ({"id": f"{COMMENT}.8fGh"}, False),  # a reply's own id
        ({"id": f"{COMMENT}.-fGh"}, False),
        ({"parent": COMMENT, "id": f"{COMMENT}.8fGh"}, True),
        ({"id": f"{COMMENT}x"}, False),
        ({"note": f"see https://y.test/watch?lc={COMMENT}."}, True),
        ({"text": TEXT}, True),
        ({"text": f"he said: {TEXT}"}, True),
        ({"text": "short"}, True),
        ({"text": "cut short"}, False),
        ({"payload": json.dumps({"text": TEXT})}, True),
        ({"payload": json.dumps({"id": COMMENT})}, True),
        ([["other"], {"deep": [COMMENT]}], True),
        ({}, False),
    ],
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_value_is_found_wherever_it_stands(value: object, *, is_named: bool, is_ascii: bool) -> None:
    assert TRACES.is_named(json.dumps(value, ensure_ascii=is_ascii)) is is_named


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"run 7 wrote {COMMENT}, then stopped", f"run 7 wrote {STAND_IN}, then stopped"),
        (f"{COMMENT} {COMMENT}", f"{STAND_IN} {STAND_IN}"),
        (f"{COMMENT}.8fGh", f"{COMMENT}.8fGh"),
        (f"{COMMENT}.-fGh", f"{COMMENT}.-fGh"),
        (f"{COMMENT}.", f"{STAND_IN}."),
        (f"x{COMMENT}", f"x{COMMENT}"),
        ("<p>a &quot;quoted&quot; text\nof two lines, &lt;b&gt;ä&lt;/b&gt;</p>", f"<p>{STAND_IN}</p>"),
        ("a short one", "a short one"),
    ],
)
def test_mentions_are_blotted_out(text: str, redacted: str) -> None:
    assert TRACES.redact(text) == redacted


def test_bytes_are_searched_without_bounds() -> None:
    assert TRACES.may_be_in(b"\x00x" + COMMENT.encode() + b"y\xff")
    assert not TRACES.may_be_in(f"{COMMENT}.8fGh {COMMENT}.-fGh 7 short".encode())


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    nothing = Traces(frozenset())
    assert not nothing.is_named('{"id": ""}')
    assert nothing.redact("") == ""
    assert nothing.redact("text") == "text"
    assert not nothing.may_be_in(b"text")
