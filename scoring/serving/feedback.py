"""Labels that people give through the service: kept in files of the inbox, until labels are next ingested.

A request never writes to the lake. No text is kept: a label is about a comment, which is named by its id.
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake

if TYPE_CHECKING:
    from scoring.serving.payloads import FeedbackRequest

# Where the deployments that ingest labels look, a folder per model.
INBOX: Final = Path("inbox", "labels")
SOURCE: Final = "feedback"


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """That a label is kept; `waiting` is one for a comment that the lake does not have (yet)."""

    feedback_id: str
    comment_id: str
    status: Literal["known", "waiting"]


class Inbox:
    """The inbox of a lake: a file per model and day (UTC), a line per label, each on the disk before it is promised."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._writing = Lock()

    def keep(self, given: "FeedbackRequest", now: datetime) -> FeedbackReceipt:
        """Keep a label with who gave it and when.

        Raises
        ------
        BadData
            If it names its comment by a text that no comment has: then nothing is kept.
        """
        comment_id, is_known = self._find_comment(given)
        row = {
            "comment_id": comment_id,
            "label": given.label,
            "labelled_at": now.isoformat(),
            "labeller": f"{SOURCE}:{given.source}",
        }
        self._append(given.model, row, now)
        return FeedbackReceipt(secrets.token_hex(16), comment_id, "known" if is_known else "waiting")

    def _find_comment(self, given: "FeedbackRequest") -> tuple[str, bool]:
        with read_lake(self._lake) as connection:
            if given.comment_id is not None:
                found = connection.execute(
                    "select 1 from raw.comments where comment_id = ? limit 1", [given.comment_id]
                ).fetchone()
                return given.comment_id, found is not None
            text_id = hashlib.sha256((given.text or "").encode()).hexdigest()[:32]
            named = connection.execute(
                "select comment_id from raw.comments where text_id = ? order by observed_at desc, comment_id limit 1",
                [text_id],
            ).fetchone()
        if named is None:
            raise BadData(
                "no comment in the lake has exactly this text, so there is nothing to give the label to; nothing was "
                "kept. Name the comment by its id"
            )
        return str(named[0]), True

    def _append(self, model: str, row: dict[str, str], now: datetime) -> None:
        folder = self._lake.home / INBOX / model
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        with self._writing:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{SOURCE}-{now:%Y%m%d}.jsonl"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
