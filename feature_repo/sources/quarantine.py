"""The quarantine: what waits in it, and how it is tried again.

How rows get into it belongs to `appending`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.batches import Batch, IngestReceipt, enter_batch
from feature_repo.sources.ingest import build_hider
from feature_repo.sources.mapping import SourceMapping, parse_mapping
from feature_repo.sources.readers import RawRow

_FETCHED_ROWS: Final = 4_096
_WAITING: Final = "batch_id = ? and replayed_batch_id is null and payload is not null"


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One refused row, as `raw.quarantine` declares it.

    `payload` is the source's row with the author hashed; None once it has expired.
    """

    batch_id: str
    kind: str
    file: str
    position: int
    reasons: tuple[str, ...]
    payload: str | None
    quarantined_at: datetime
    replayed_batch_id: str | None


def list_quarantine(lake: Lake, *, batch_id: str | None = None, limit: int | None = None) -> list[QuarantinedRow]:
    """Rows in the quarantine, newest first, then by file and position.

    Parameters
    ----------
    batch_id
        Only the rows of that batch.
    limit
        At most that many rows; all if None.
    """
    columns = ", ".join(QuarantinedRow.__slots__)
    with read_lake(lake) as connection:
        rows = connection.execute(
            f"select {columns} from raw.quarantine where $batch_id is null or batch_id = $batch_id "  # noqa: S608
            "order by quarantined_at desc, batch_id, file, position limit $limit",
            {"batch_id": batch_id, "limit": limit},
        ).fetchall()
    return [_build_row(row) for row in rows]


def replay_batch(
    lake: Lake,
    batch_id: str,
    *,
    run_id: str,
    now: datetime,
    author_key: bytes,
    mapping: SourceMapping | None = None,
) -> IngestReceipt:
    """Try the quarantined rows of a batch again, as a batch of its own; the receipt tells what became of them.

    Rows that are good now are marked with the new batch; the others stay as they are.

    Parameters
    ----------
    batch_id
        The batch that refused them.
    run_id
        Id of the replay, and of its batch.
    mapping
        How to read them now; as then if None.

    Raises
    ------
    BadData
        If the batch is unknown or none of its rows waits; rows that have expired do not.
    """
    details, waiting = _read_batch(lake, batch_id)
    if not waiting:
        raise BadData(f"no row of the batch {batch_id} waits in the quarantine; see `scorelake quarantine list`")
    mapping = mapping or parse_mapping(details["mapping"], f"the ledger's entry of {batch_id}")
    hider = build_hider(mapping.read_kind(details["kind"]), author_key)
    batch = Batch(
        run_id=run_id,
        kind=details["kind"],
        mapping=mapping,
        source=details["source"],
        now=now,
        task=details["task"],
        replays=batch_id,
        files=tuple(details["files"]),
    )
    files = groupby(_read_waiting(lake, batch_id), key=itemgetter(0))
    return enter_batch(
        lake, batch, ((name, hider.hide_authors((row for _, row in rows), None)) for name, rows in files)
    )


def _read_batch(lake: Lake, batch_id: str) -> tuple[dict[str, Any], int]:
    """What the ledger tells of a batch, and how many of its rows wait."""
    with read_lake(lake) as connection:
        found = connection.execute(
            "select details from ops.runs where run_id = ? and kind in ('ingest', 'replay')", [batch_id]
        ).fetchone()
        if found is None:
            raise BadData(f"no batch {batch_id}; `scorelake status` lists the batches")
        waiting = connection.execute(
            f"select count(*) from raw.quarantine where {_WAITING}",  # noqa: S608 - a text of ours
            [batch_id],
        ).fetchall()
    return json.loads(found[0]), waiting[0][0]


def _read_waiting(lake: Lake, batch_id: str) -> Iterator[tuple[str, RawRow]]:
    """File and raw row of each waiting row of a batch, by file and position."""
    with read_lake(lake) as connection:
        found = connection.execute(
            f"select file, position, reasons, payload from raw.quarantine where {_WAITING} order by file, position",  # noqa: S608 - a text of ours
            [batch_id],
        )
        while rows := found.fetchmany(_FETCHED_ROWS):
            for file, position, reasons, payload in rows:
                yield file, _build_raw_row(position, reasons, payload)


def _build_raw_row(position: int, reasons: list[str], payload: str) -> RawRow:
    fields = json.loads(payload)
    fault = reasons[0] if reasons[0].startswith("line_") else None
    return RawRow(position, tuple(fields), tuple(fields.values()), fault)


def _build_row(row: tuple[Any, ...]) -> QuarantinedRow:
    named = dict(zip(QuarantinedRow.__slots__, row, strict=True))
    return QuarantinedRow(**named | {"reasons": tuple(named["reasons"])})
