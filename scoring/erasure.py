"""Erasure of what was said, beside the rows themselves: what counts them or copies them is made anew."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.file_lock import hold_lock
from scoring.plan import locate_staged
from scoring.published import locate_published, publish_file
from scoring.staging import read_plan
from scoring.summaries import rebuild_summaries
from training.spec import list_specs

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake


def count_anew(connection: "duckdb.DuckDBPyConnection", rows: Mapping[str, int]) -> None:
    """Count the summaries of the models anew that have lost scores in force, within the caller's transaction.

    A summary of few comments would tell what one of them was.

    Parameters
    ----------
    rows
        Rows that were erased, by table.
    """
    for model in list_specs():
        if f"scores.{model}_current" in rows:
            rebuild_summaries(connection, model)


def drop_staged(lake: "Lake", changed: Iterable[str]) -> int:
    """Delete what dead scoring runs have staged if rows were taken out of it; returns how many runs.

    Their receipts would count rows that are gone. What they owed is owed as before.

    Parameters
    ----------
    changed
        Files that were changed, below the lake's home.
    """
    storage = lake.storage
    if storage.staging == str(lake.staging):
        staged = [lake.home / name for name in changed if (lake.home / name).is_relative_to(lake.staging)]
        runs = {path.relative_to(lake.staging).parts[0] for path in staged}
    else:  # where nobody has looked into the files, all go
        runs = set(storage.list_folders(storage.staging))
    dead = [run for run in runs if read_plan(lake, run) is not None]
    for run in dead:
        storage.delete(locate_staged(lake, run))
    return len(dead)


def list_published(lake: "Lake") -> list[Path]:
    """The published files, drafts and the link to the newest included."""
    return sorted(locate_published(lake).parent.glob("*.duckdb*"))


def publish_anew(lake: "Lake", *, run_id: str) -> int:
    """Delete every published file and publish the lake as it is; returns how many were deleted.

    Not brought up to date: what is deleted from a DuckDB file stays in its free pages. For as long as writing takes,
    there is no published file; who has one open goes on reading it. Without any, nothing is published.

    Raises
    ------
    Unavailable
        If another publication takes too long.
    """
    folder = locate_published(lake).parent
    if not (found := list_published(lake)):
        return 0
    with hold_lock(folder / "publication.lock", f"erasure {run_id}", lake.lock_wait_seconds):
        found = list_published(lake)
        for path in found:
            path.unlink(missing_ok=True)
    publish_file(lake, run_id=run_id)
    return len(found)
