"""Observed rows on their way into the lake: gathered, then landed as batches, with the cursors that stand for them.

Every batch is an ingest like any other: same checks, quarantine, ledger and way back. Which rows there are is
decided in `youtube_ingest`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from feature_repo.errors import Refused
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.sources.batches import Batch, IngestReceipt, enter_batch
from feature_repo.sources.ingest import build_hider
from feature_repo.sources.json_objects import parse_object
from feature_repo.sources.mapping import read_mapping
from feature_repo.sources.readers import RawRow
from feature_repo.sources.youtube_cursors import Cursor, replace_cursors
from feature_repo.sources.youtube_deletions import FinishedListing, append_deletions
from feature_repo.sources.youtube_quota import Quota
from feature_repo.sources.youtube_rows import Row

if TYPE_CHECKING:
    import duckdb

SOURCE: Final = "youtube"
# Channels and videos first: a comment finds its channel through its video.
_KINDS: Final = ("channels", "videos", "comments")
# Often enough that an interruption loses little of the quota, seldom enough that files stay few.
_ROWS: Final = 20_000
_BATCHES: Final = "select count(*) from ops.runs where starts_with(run_id, ? || '-')"


@dataclass(frozen=True, slots=True)
class YouTubeRequest:
    """What is to be observed, and how its rows are to land.

    Parameters
    ----------
    channels, videos
        Ids; of a channel, every uploaded video is observed.
    run_id
        Id of the run; its batches are named after it.
    author_key
        Key of the authors' hashes.
    refresh_days
        A video's comments are listed completely again when the last such listing is so long ago.
    bad_row_share_limit
        A batch is refused if a greater share of its rows is bad.
    """

    channels: tuple[str, ...]
    videos: tuple[str, ...]
    run_id: str
    author_key: bytes = field(repr=False)
    refresh_days: int = 7
    bad_row_share_limit: float = 0.2


class Landing:
    """Gathers rows and cursors, and brings them into the lake together.

    Rows land before their cursor: killed in between, the next run lists again what it has, and nothing is
    missed.
    """

    def __init__(self, lake: Lake, request: YouTubeRequest, quota: Quota) -> None:
        self.receipts: list[IngestReceipt] = []
        self.rows_without_text = 0
        self._lake = lake
        self._request = request
        self._quota = quota
        self._mapping = read_mapping()
        self._rows: dict[str, list[Row]] = {kind: [] for kind in _KINDS}
        self._cursors: dict[str, Cursor] = {}
        self._finished: dict[str, FinishedListing] = {}
        self._number = self._count_batches()

    def add(self, kind: str, rows: Iterable[Row]) -> None:
        """Gather rows of a kind. A comment that is only a picture has no text and makes no row; it is counted."""
        for row in rows:
            if row.get("text") == "":
                self.rows_without_text += 1
            else:
                self._rows[kind].append(row)

    def mark(self, cursor: Cursor, finished: FinishedListing | None = None) -> None:
        """Gather a cursor that stands for all rows gathered before, and lands with them."""
        self._cursors[cursor.video_id] = cursor
        if finished is not None:
            self._finished[finished.video_id] = finished

    @property
    def is_due(self) -> bool:
        """Whether enough has been gathered for a batch."""
        return sum(map(len, self._rows.values())) >= _ROWS

    def land(self) -> None:
        """Bring what was gathered into the lake; the units used so far are written in any case.

        Raises
        ------
        Refused
            If too many rows of a batch were bad; no cursor moves then.
        Unavailable
            If another writer holds the lake for too long.
        """
        refused = [receipt for receipt in map(self._enter, _KINDS) if receipt and receipt.is_refused]
        if refused:
            self._cursors.clear()
            self._finished.clear()
        with write_lake(self._lake, purpose=f"cursors of run {self._request.run_id}") as connection:
            run_transaction(connection, self._write_state)
        self._cursors.clear()
        self._finished.clear()
        for receipt in refused:
            raise Refused(
                f"{receipt.rows_quarantined_total:,} of {receipt.rows_read:,} {receipt.kind} are bad, more than the "
                f"limit: none of them was ingested. See `scorelake quarantine list --batch {receipt.batch_id}`"
            )

    def _enter(self, kind: str) -> IngestReceipt | None:
        rows = self._rows[kind]
        if not rows:
            return None
        self._number += 1
        batch = Batch(
            run_id=f"{self._request.run_id}-{self._number:03}-{kind}",
            kind=kind,
            mapping=self._mapping,
            source=SOURCE,
            now=self._quota.clock(),
            bad_row_share_limit=self._request.bad_row_share_limit,
            files=(SOURCE,),
        )
        hider = build_hider(self._mapping.read_kind(kind), self._request.author_key)
        receipt = enter_batch(self._lake, batch, [(SOURCE, hider.hide_authors(_build_raw_rows(rows), None))])
        self.receipts.append(receipt)
        rows.clear()
        return receipt

    def _write_state(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._quota.replace_calls(connection)
        replace_cursors(connection, self._cursors.values(), self._request.run_id)
        append_deletions(connection, list(self._finished.values()), self._request.run_id)

    def _count_batches(self) -> int:
        with read_lake(self._lake) as connection:
            return int(connection.execute(_BATCHES, [self._request.run_id]).fetchall()[0][0])


def _build_raw_rows(rows: Sequence[Row]) -> Iterator[RawRow]:
    """The rows as if each were a line of JSONL, so that what no encoding can write is refused as there."""
    for position, row in enumerate(rows, start=1):
        line = json.dumps(row)
        fields, fault = parse_object(line)
        if fault:
            yield RawRow(position, ("line",), (line,), fault)
        else:
            yield RawRow(position, tuple(fields), tuple(fields.values()))
