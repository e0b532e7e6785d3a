"""Files that others read at any moment, and that a kill leaves as they were or as they shall be."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: "Path", content: str | bytes) -> None:
    """Write a text, or bytes, whole or not at all, in the place of what was there.

    The draft bears the process's number: two that write the same file at once leave the text of one of them.
    """
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
