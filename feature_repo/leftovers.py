"""What runs stage beside the lake's data, and what killed ones left there: staged files, rows that DuckDB had spilled.

A staged scoring run that the next one would take up is no leftover before the horizon; that of a live run never is.
What no snapshot needs inside the lake's data is `upkeep`'s.
"""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from feature_repo.catalogs import WRITER
from feature_repo.file_lock import try_lock
from feature_repo.lake import Lake


@contextmanager
def open_staging(lake: Lake, run_id: str) -> Iterator[Path]:
    """A folder of the run's own on the lake's filesystem, removed at the end; those of dead runs go, too."""
    folder, owners = lake.staging / run_id, lake.home / "staging.locks"
    owners.mkdir(parents=True, exist_ok=True)
    # Locked by the run while it lives: the system gives it back when the run dies, whatever it has done by then.
    with FileLock(owners / f"{run_id}.lock"):
        _delete_dead(lake.staging, owners)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            (owners / f"{run_id}.lock").unlink(missing_ok=True)


def _delete_dead(staging: Path, owners: Path) -> None:
    for owner in owners.glob("*.lock"):
        with try_lock(owner) as is_free:
            if is_free:
                shutil.rmtree(staging / owner.stem, ignore_errors=True)
                owner.unlink(missing_ok=True)


def find_abandoned(lake: Lake) -> tuple[str, ...]:
    """The runs that staged files, locked them, and died; nothing is changed. The next run removes what they left."""
    found = []
    for owner in sorted((lake.home / "staging.locks").glob("*.lock")):
        with try_lock(owner) as is_free:
            if is_free:
                found.append(owner.stem)
    return tuple(found)


def delete_abandoned(lake: Lake) -> None:
    """Remove what `find_abandoned` finds."""
    _delete_dead(lake.staging, lake.home / "staging.locks")


def find_dead_writer(lake: Lake) -> str | None:
    """Who wrote to the lake and died or failed at it, in words; None if nobody did, or somebody is writing now.

    Its lock is free, but its name still stands beside it. Whoever opens the lake for writing next deletes what it wrote
    and never committed.
    """
    return lake.catalog.find_dead_holder(WRITER)


def delete_leftovers(lake: Lake, *, before: datetime, live_runs: Collection[str] = ()) -> int:
    """Delete what dead runs left and nobody has touched since an instant; returns how many folders and files.

    Parameters
    ----------
    before
        What was written to later stays (UTC).
    live_runs
        What these have staged stays, however old.
    """
    here, shared = _find_here(lake, before, live_runs), _find_shared(lake, before, live_runs)
    for entry in here:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    for folder in shared:
        lake.storage.delete(folder)
    return len(here) + len(shared)


def find_leftovers(lake: Lake, *, before: datetime, live_runs: Collection[str] = ()) -> list[str]:
    """The folders and files that `delete_leftovers` would delete; those of this host by their path below the home."""
    here = (str(path.relative_to(lake.home)) for path in _find_here(lake, before, live_runs))
    return [*here, *_find_shared(lake, before, live_runs)]


def _find_here(lake: Lake, before: datetime, live_runs: Collection[str]) -> list[Path]:
    return [
        entry
        for folder in (lake.staging, lake.spill)
        if folder.exists()
        for entry in folder.iterdir()
        if entry.name not in live_runs and _read_newest(entry) < before.timestamp()
    ]


def _find_shared(lake: Lake, before: datetime, live_runs: Collection[str]) -> list[str]:
    """What runs of any host staged where all hosts see it; none if that is the folder of this host."""
    storage = lake.storage
    if storage.staging == str(lake.staging):
        return []
    folders = (f"{storage.staging}/{name}" for name in storage.list_folders(storage.staging) if name not in live_runs)
    return [
        folder
        for folder in folders
        if max((file.written_at for file in storage.list_files(folder)), default=before) < before
    ]


def _read_newest(entry: Path) -> float:
    """When a file, or anything in a folder, was last written to (seconds since 1970)."""
    return max(path.stat().st_mtime for path in _walk(entry))


def _walk(entry: Path) -> Iterator[Path]:
    yield entry
    if entry.is_dir():
        yield from entry.rglob("*")
