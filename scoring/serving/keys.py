"""Keys of those who may ask: random, shown once, and known to the service by their SHA-256 alone."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from feature_repo.errors import BadData

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh key, shown once, and the hash that the service is told."""

    key: str
    sha256: str


def make_key() -> NewKey:
    """Make a key of 256 random bits: so many need no slow hash."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    return NewKey(key, hash_key(key))


def hash_key(key: str) -> str:
    """SHA-256 of a key, in hex.

    >>> hash_key("secret")[:8]
    '2bb80d53'
    """
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()


def parse_hashes(text: str) -> tuple[str, ...]:
    """The hashes of keys between blanks or commas; raises `BadData` for what is no SHA-256, without saying it."""
    hashes = tuple(text.replace(",", " ").lower().split())
    wrong = [place for place, one in enumerate(hashes, 1) if not _HASH.fullmatch(one)]
    if wrong:
        raise BadData(
            f"SCORELAKE_API_KEYS holds SHA-256 hashes of 64 hex digits; number {wrong[0]} is none. A key and its hash: "
            "`scorelake serve --new-key`"
        )
    return hashes
