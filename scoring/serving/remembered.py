"""Answers that were given before, for as long as the same champion and the same online values would give them again.

Comments are asked for again and again: a page is opened by many, and scrolled up. What is remembered holds no text, but
its digest; of the words of an answer it holds the few that were told.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from feature_repo.online import OnlineState
    from scoring.serving.champion import Served
    from scoring.serving.payloads import TextToScore

# Of each model; a kilobyte each at most.
_MOST: Final = 20_000

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answers on one basis, those used last at the end."""

    served: "Served"
    state: "OnlineState | None"
    answers: OrderedDict[bytes, Answer] = field(default_factory=OrderedDict)


class Remembered:
    """The answers of all models; forgotten when a champion is swapped or the online store was filled."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}

    def find(self, served: "Served", state: "OnlineState | None", keys: Sequence[bytes]) -> list[Answer | None]:
        """The answer to each key on this basis; None where there is none."""
        with self._lock:
            answers = self._open(served, state).answers
            found = [answers.get(key) for key in keys]
            for key, answer in zip(keys, found, strict=True):
                if answer is not None:
                    answers.move_to_end(key)
        return found

    def keep(
        self, served: "Served", state: "OnlineState | None", keys: Sequence[bytes], given: Sequence[Answer]
    ) -> None:
        """Remember answers, in place of those that were not asked for the longest."""
        with self._lock:
            answers = self._open(served, state).answers
            answers.update(zip(keys, given, strict=True))
            while len(answers) > _MOST:
                answers.popitem(last=False)

    def _open(self, served: "Served", state: "OnlineState | None") -> _Kept:
        kept = self._kept.get(served.name)
        if kept is None or kept.served is not served or kept.state != state:
            kept = self._kept[served.name] = _Kept(served, state)
        return kept


def build_key(asked: "TextToScore", top_words: int) -> bytes:
    """The digest of everything that an answer on one basis depends on."""
    rest = (
        asked.channel_id,
        asked.video_id,
        asked.is_reply,
        asked.like_count,
        asked.earlier_reply_count_30d,
        top_words,
    )
    return hashlib.blake2b(f"{rest!r}\0{asked.text}".encode(), digest_size=16).digest()
