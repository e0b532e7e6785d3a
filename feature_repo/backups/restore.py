"""Restoring a home from a backup: made and verified beside its place, and put there by renaming."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from feature_repo.backups.lake_copy import find_faults
from feature_repo.backups.manifest import SETTINGS, Manifest
from feature_repo.backups.store import Store, check_complete, check_content, copy_out, find_manifest
from feature_repo.catalogs import WRITER
from feature_repo.errors import BadData, Unavailable
from feature_repo.file_lock import hold_lock
from feature_repo.lake import Lake
from feature_repo.release import SCHEMA_VERSION, LaterRelease, read_own_name

_log = logging.getLogger(__name__)
_NEEDED: Final = "lake/catalog.sqlite"
OnProgress = Callable[[int, int], None]
Finish = Callable[[Lake], None]


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which backup is restored where.

    Parameters
    ----------
    name
        Of the backup; the newest if None.
    is_replacing
        Whether a home that is there already makes way; it is kept under another name.
    wait_seconds
        How long to wait for a writer of the home that makes way.
    """

    folder: Path
    home: Path
    name: str | None = None
    is_replacing: bool = False
    wait_seconds: float = 60


@dataclass(frozen=True, slots=True)
class RestoreReceipt:
    """What was restored.

    Parameters
    ----------
    made_at
        Instant of the lake's state, in ISO 8601 (UTC).
    replaced
        Where the home is now that was there before; None if there was none.
    settings
        "restored", "kept" from the home that was there, or "missing", and with them the key of the authors' hash.
    """

    name: str
    home: str
    made_at: str
    files: int
    size_bytes: int
    replaced: str | None
    settings: str
    seconds: float


def restore_backup(
    request: RestoreRequest, finish: Finish = lambda _: None, on_progress: OnProgress = lambda *_: None
) -> RestoreReceipt:
    """Restore a backup; what is at the home's place changes only when all of it is there and verified.

    A kill leaves the home as it was, or none and the old one under its other name; the next restore goes through.

    Parameters
    ----------
    finish
        Is given the restored lake before it gets its place, to take out what belonged to processes.
    on_progress
        Is told how many of how many files are done.

    Raises
    ------
    BadData
        If there is no such backup, it is damaged, or a home is there that is not to be replaced.
    Unavailable
        If it is of a later release, somebody writes to the home that is there, or it cannot be renamed.
    """
    since = perf_counter()
    store, home = Store(request.folder.absolute()), request.home
    manifest = find_manifest(store, request.name)
    _check_release(manifest)
    check_complete(store, manifest)
    _check_place(request)
    with _translate(home), _open_draft(home) as draft:
        for number, file in enumerate(manifest.files, start=1):
            copy_out(store, file, draft / file.path)
            on_progress(number, len(manifest.files))
        settings = _keep_settings(manifest, home, draft)
        lake = Lake(draft)
        if faults := find_faults(lake):
            raise BadData(f"backup {manifest.name} lacks {len(faults)} data files of its catalog: {faults[:5]}")
        finish(lake)
        _check_place(request)
        replaced = _swap(draft, request, manifest.name, has_kept=settings == "kept")
    _log.info("restored name=%s files=%d", manifest.name, len(manifest.files))
    return RestoreReceipt(
        name=manifest.name,
        home=str(home),
        made_at=manifest.made_at.isoformat(),
        files=len(manifest.files),
        size_bytes=manifest.size_bytes,
        replaced=str(replaced) if replaced else None,
        settings=settings,
        seconds=perf_counter() - since,
    )


def verify_backup(folder: Path, name: str | None = None, on_progress: OnProgress = lambda *_: None) -> Manifest:
    """Read everything that a backup consists of, the newest if None; raises `BadData` if anything is damaged."""
    store = Store(folder.absolute())
    manifest = find_manifest(store, name)
    check_complete(store, manifest)
    for number, file in enumerate(manifest.files, start=1):
        check_content(store, file)
        on_progress(number, len(manifest.files))
    return manifest


def _check_release(manifest: Manifest) -> None:
    if manifest.schema_version > SCHEMA_VERSION:
        raise LaterRelease(
            f"backup {manifest.name} is of a lake at schema {manifest.schema_version}, by scorelake "
            f"{manifest.release}; this is scorelake {read_own_name()} with schema {SCHEMA_VERSION}. Install scorelake "
            f"{manifest.release} or later; nothing was changed"
        )
    if _NEEDED not in {file.path for file in manifest.files}:
        raise BadData(f"backup {manifest.name} has no {_NEEDED}; restore another one")


def _check_place(request: RestoreRequest) -> None:
    found = _list_entries(request.home)
    if found and not request.is_replacing:
        raise BadData(
            f"expected no home at {request.home}, or one with {SETTINGS} alone; found {found[:5]}. Add --replace, "
            "which keeps it under another name, or set SCORELAKE_HOME to another folder"
        )


def _list_entries(home: Path) -> list[str]:
    """What is in a home, but for its settings."""
    return sorted(path.name for path in home.iterdir() if path.name != SETTINGS) if home.exists() else []


@contextmanager
def _open_draft(home: Path) -> Iterator[Path]:
    """A folder beside the home, on its filesystem; what a killed restore has left of it goes first."""
    draft, lock = (home.with_name(f".{home.name}.{ending}") for ending in ("restoring", "restoring.lock"))
    home.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(lock, f"restore of {home}", 0):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            lock.unlink(missing_ok=True)
            lock.with_suffix(".holder.json").unlink(missing_ok=True)


@contextmanager
def _translate(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the restore into {home} stopped: {error}; what was there is as it was") from error


def _keep_settings(manifest: Manifest, home: Path, draft: Path) -> str:
    if manifest.has_settings:
        return "restored"
    if not (home / SETTINGS).exists():
        return "missing"
    shutil.copy2(home / SETTINGS, draft / SETTINGS)
    return "kept"


def _swap(draft: Path, request: RestoreRequest, name: str, *, has_kept: bool) -> Path | None:
    """Put the draft in the home's place; returns where what was there is now, None if nothing of it is missed."""
    home = request.home
    lake, before = Lake(home), None
    found = [path.name for path in home.iterdir()] if home.exists() else []
    try:
        if not found or (found == [SETTINGS] and has_kept):
            shutil.rmtree(home, ignore_errors=True)
        elif lake.catalog.exists():
            with lake.catalog.hold(WRITER, f"restore of {home}", request.wait_seconds):
                before = _move_aside(home, name)
            Lake(before).catalog_file.with_name(f"{WRITER}.holder.json").unlink(missing_ok=True)
        else:
            before = _move_aside(home, name)
        draft.rename(home)
    except OSError as error:
        raise Unavailable(
            f"{home} cannot be put in its place by renaming ({error}), as where a volume is mounted there; set "
            "SCORELAKE_HOME to a folder within the volume"
        ) from error
    return before


def _move_aside(home: Path, name: str) -> Path:
    aside = home.with_name(f"{home.name}.before-{name}")
    number = 2
    while aside.exists():
        aside, number = home.with_name(f"{home.name}.before-{name}-{number}"), number + 1
    return home.rename(aside)
