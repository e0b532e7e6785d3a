"""The published file: a plain DuckDB database of the scores, which any client opens while jobs run.

Each publication is a copy of the one before, brought up to date (`published_tables`), behind a symbolic link that is
swapped at once. A file never changes after it was published: who has an earlier one open goes on reading it.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

import duckdb

from feature_repo.errors import Unavailable
from feature_repo.file_lock import hold_lock
from feature_repo.lake import Lake, quote_text, read_lake, run_transaction
from scoring.published_tables import create_tables, find_origin, replace_changes

Rows: TypeAlias = Mapping[str, int]
_log = logging.getLogger(__name__)

_KEPT_FILES: Final = 2
_KEPT_SECONDS: Final = 3_600


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """What a publication did.

    Parameters
    ----------
    file
        The database that is published now.
    is_whole
        Whether it was written whole, and not as the changes since the one before.
    rows
        Rows written, by table; those of a change have keys for which something was deleted or inserted since.
    """

    file: str
    is_whole: bool
    rows: Rows
    seconds: float


def locate_published(lake: Lake) -> Path:
    """Path under which the published file is opened, a symbolic link to the newest."""
    # Not a name of a schema inside: DuckDB would not know which of the two a query means.
    return lake.home / "published" / "scorelake.duckdb"


def publish_file(lake: Lake, *, run_id: str) -> FileReceipt:
    """Publish the lake as it is now, at a cost that follows what has changed; safe to repeat, and to be killed in.

    The file is written whole if there is none, it cannot be read, tables are declared otherwise than when it was
    made, a snapshot since then is gone, or it has been brought up to date often.

    Parameters
    ----------
    run_id
        Run whose work is published; it names the file.

    Raises
    ------
    Unavailable
        If another publication takes too long.
    """
    started = perf_counter()
    link = locate_published(lake)
    draft = link.with_name(f"draft-{run_id}.duckdb")
    lock = link.with_name("publication.lock")
    with read_lake(lake) as connection, hold_lock(lock, f"publication for {run_id}", lake.lock_wait_seconds):
        rows = _update_draft(connection, draft, link)
        is_whole = rows is None
        if rows is None:
            rows = _write_draft(connection, draft, create_tables)
        file = _swap(draft, link, run_id)
        _remove_old(file)
    receipt = FileReceipt(str(file), is_whole, rows, perf_counter() - started)
    _log.info("published rows=%d whole=%s seconds=%.2f", sum(rows.values()), is_whole, receipt.seconds)
    return receipt


def _update_draft(connection: duckdb.DuckDBPyConnection, draft: Path, link: Path) -> Rows | None:
    """Make the draft of the published file and what has changed since; None if the draft must be written whole."""
    _remove_drafts(link)
    origin = find_origin(connection, link)
    if origin is None:
        return None
    _copy(link, draft)
    try:
        return _write_draft(connection, draft, lambda connection: replace_changes(connection, origin))
    except (duckdb.Error, Unavailable) as error:
        _log.warning("the published file cannot be brought up to date: %s", error)
        _remove_drafts(link)
        return None


def _copy(source: Path, target: Path) -> None:
    """Copy a file within its folder; where the filesystem can, both share every block that is not written to."""
    with source.open("rb") as read, target.open("xb") as written:
        while os.copy_file_range(read.fileno(), written.fileno(), 1 << 30):
            pass


def _write_draft(
    connection: duckdb.DuckDBPyConnection, draft: Path, fill: Callable[[duckdb.DuckDBPyConnection], Rows]
) -> Rows:
    """Fill the draft in one transaction on both sides; returns the rows by table."""
    # A format that every client since 1.0 reads.
    connection.execute(f"attach {quote_text(str(draft))} as published (storage_version 'v1.0.0')")
    try:
        rows = run_transaction(connection, fill)
        connection.execute("checkpoint published")  # detaching would do it, too, but not tell if it fails
    finally:
        connection.execute("detach published")
    return rows


def _swap(draft: Path, link: Path, run_id: str) -> Path:
    """Give the draft its name, for reading only, and point the link to it, at once."""
    file = link.with_name(f"scorelake-{run_id}.duckdb")
    pointer = link.with_name("draft-link")
    # DuckDB would replay the log of an earlier file of that name into this one.
    _remove(*(name.with_name(f"{name.name}.wal") for name in (file, link)))
    draft.chmod(0o444)
    draft.rename(file)
    pointer.symlink_to(file.name)
    pointer.rename(link)
    return file


def _remove_old(file: Path) -> None:
    """Remove the files before, but for the newest and those of the last hour; open ones are read to their end."""
    written_at = {one: one.stat().st_mtime for one in file.parent.glob("scorelake-*.duckdb")}
    newest_first = sorted(written_at, key=lambda one: (one == file, written_at[one]), reverse=True)
    _remove(*(one for one in newest_first[_KEPT_FILES:] if written_at[file] - written_at[one] > _KEPT_SECONDS))


def _remove_drafts(link: Path) -> None:
    _remove(*link.parent.glob("draft-*"))


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)
