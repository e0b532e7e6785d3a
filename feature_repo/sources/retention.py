"""Retention: texts of sources with a clock expire, and come back when their source shows them again.

A text expires with everything that it could be read from: its tokens, and rows in the quarantine. Scores and
aggregates stay. Taking what has expired off the disk is `upkeep`'s.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.contracts import list_expiring
from feature_repo.features.statements import read_statement, write_instant
from feature_repo.lake import Lake, quote_name, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.tables.features import COMMENT_FEATURES

if TYPE_CHECKING:
    import duckdb

    from feature_repo.sources.appending import Stamp

_log = logging.getLogger(__name__)

_FOLDER: Final = Path(__file__).parent
_EXPIRE_TEXTS: Final = """
update raw.comments set text = null
where (comment_id, text_id) in (select (comment_id, text_id) from expired_texts) and observed_at <= {before}
"""
# Of every text that is gone, not only of those that go now: a materialization may have been at work the last time.
_EXPIRE_TOKENS: Final = """
update features.comment_features set {assignments}
where ({is_there}) and (comment_id, text_id) in (select (comment_id, text_id) from raw.comments where text is null)
"""
_EXPIRE_PAYLOADS: Final = """
update raw.quarantine set payload = null
where payload is not null and quarantined_at <= {before}
    and batch_id in (select run_id from ops.runs where list_contains($sources, details->>'source'))
"""


@dataclass(frozen=True, slots=True)
class ExpiryReceipt:
    """What expired.

    Parameters
    ----------
    before
        Texts that were last observed up to this instant have expired (UTC).
    texts, payloads
        Texts of comments, and rows of the quarantine, that are gone.
    token_rows
        Rows of features whose tokens are gone.
    sightings
        Observations that were forgotten, because newer ones count or the text is gone.
    """

    run_id: str
    before: datetime
    texts: int
    token_rows: int
    payloads: int
    sightings: int
    seconds: float


def expire_texts(lake: Lake, *, run_id: str, now: datetime, days: int, sources: Sequence[str]) -> ExpiryReceipt:
    """Take out the texts of some sources that none of them has shown for so many days; safe to repeat.

    Parameters
    ----------
    now
        Start of the run (UTC), to which the days are counted.
    sources
        As their rows name them. A text belongs to the source that brought it first.

    Raises
    ------
    Unavailable
        If another writer holds the lake for too long.
    """
    since = perf_counter()
    before = now - timedelta(days=days)

    def work(connection: "duckdb.DuckDBPyConnection") -> ExpiryReceipt:
        counts = _expire(connection, before, sources)
        receipt = ExpiryReceipt(run_id, before, **counts, seconds=perf_counter() - since)
        append_run(connection, _build_run(receipt, now, sources))
        return receipt

    with write_lake(lake, purpose=f"expiry {run_id}") as connection:
        receipt = run_transaction(connection, work)
    _log.info("expired run=%s texts=%d seconds=%.2f", run_id, receipt.texts, receipt.seconds)
    return receipt


def restore_texts(connection: "duckdb.DuckDBPyConnection", stamp: "Stamp") -> int:
    """Give expired texts back that their source has shown again in a batch, and their tokens; returns how many.

    Runs within the batch's transaction, after its comments and sightings have been appended.
    """
    values = {"source": stamp.source, "batch_id": stamp.batch_id, "candidates": stamp.candidates}
    connection.execute(_read_sql("returned_texts"), values)
    returned = _count(connection, "select count(*) from returned_texts")
    if returned:
        connection.execute(_read_sql("restore_texts"), {"ingest_seq": stamp.ingest_seq})
        sql = _read_sql("restore_tokens").replace("{text_features}", read_statement("text"))
        connection.execute(sql.replace("{assignments}", _write_tokens("{name} = computed.{name}", ", ")))
    return returned


def _expire(connection: "duckdb.DuckDBPyConnection", before: datetime, sources: Sequence[str]) -> dict[str, int]:
    bound = {"sources": list(sources) or [""]}  # DuckDB cannot tell the type of an empty list
    literals = {
        "before": write_instant(before),
        "assignments": _write_tokens("{name} = null", ", "),
        "is_there": _write_tokens("{name} is not null", " or "),
    }
    connection.execute(_read_sql("expired_texts").format(**literals), bound)
    return {
        "texts": _count(connection, _EXPIRE_TEXTS.format(**literals)),
        "token_rows": _count(connection, _EXPIRE_TOKENS.format(**literals)),
        "payloads": _count(connection, _EXPIRE_PAYLOADS.format(**literals), bound),
        "sightings": _count(connection, _read_sql("prune_sightings")),
    }


def _write_tokens(pattern: str, separator: str) -> str:
    """A pattern written once for each column of tokens."""
    columns = list_expiring()[str(COMMENT_FEATURES.name)]
    return separator.join(pattern.format(name=quote_name(name)) for name in columns)


def _read_sql(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _count(connection: "duckdb.DuckDBPyConnection", sql: str, values: dict[str, list[str]] | None = None) -> int:
    return int(connection.execute(sql, values or {}).fetchall()[0][0])


def _build_run(receipt: ExpiryReceipt, now: datetime, sources: Sequence[str]) -> Run:
    return Run(
        run_id=receipt.run_id,
        kind="maintain",
        started_at=now,
        ended_at=now + timedelta(seconds=receipt.seconds),
        rows_out=receipt.texts,
        details={
            "before": receipt.before.isoformat(),
            "sources": list(sources),
            "token_rows": receipt.token_rows,
            "payloads": receipt.payloads,
            "sightings": receipt.sightings,
        },
    )
