"""Taking a backup of a home while others read and write: one instant of the lake, and what goes with it."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from feature_repo.backups.contents import RUNS, is_database, list_files, list_own, list_shared
from feature_repo.backups.database import copy_database
from feature_repo.backups.lake_copy import copy_catalog
from feature_repo.backups.manifest import Manifest, StoredFile
from feature_repo.backups.sources import Source, look_at
from feature_repo.backups.store import (
    Store,
    add_content,
    add_manifest,
    find_manifest,
    list_names,
    locate_content,
    open_store,
    remove_backups,
)
from feature_repo.errors import BadData, Unavailable

if TYPE_CHECKING:
    from feature_repo.lake import Lake

_log = logging.getLogger(__name__)
_ROUNDS: Final = 5
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What is backed up where.

    Parameters
    ----------
    run_id
        Names the backup.
    releases
        Versions of what writes the home's files, for the manifest.
    with_settings
        Whether the home's settings are in it, and with them the key of the authors' hash and other secrets.
    keep
        How many backups the folder keeps, this one included; all if None.
    copy_runs
        Writes MLflow's store into a file, if it is a server's; None if the home has it.
    """

    folder: Path
    run_id: str
    now: datetime
    releases: Mapping[str, str]
    with_settings: bool = False
    keep: int | None = None
    copy_runs: Callable[[Path], None] | None = None


@dataclass(frozen=True, slots=True)
class BackupReceipt:
    """What a backup holds, and what it took.

    Parameters
    ----------
    files, size_bytes
        As they lie in a home.
    contents_copied, bytes_copied
        What the folder did not have yet.
    rounds
        How often the lake's instant had to be taken anew, because something was deleted or changed meanwhile, and once.
    held_seconds
        For how long writers had to wait, all rounds together.
    removed
        Earlier backups that were removed.
    """

    name: str
    folder: str
    files: int
    size_bytes: int
    contents_copied: int
    bytes_copied: int
    rounds: int
    held_seconds: float
    seconds: float
    has_settings: bool
    removed: tuple[str, ...]


class _Changed(Exception):  # noqa: N818 - no error: another round is needed
    """Something that was to be copied is gone, or is not what it was when the round began."""


@dataclass(slots=True)
class _Copying:
    """What is known of contents so far, and what was copied."""

    home: Path
    store: Store
    known: dict[str, StoredFile]
    contents: int = 0
    size_bytes: int = 0
    held_seconds: float = 0.0


def take_backup(lake: "Lake", request: BackupRequest, on_progress: OnProgress = lambda *_: None) -> BackupReceipt:
    """Take a backup of a home; what the folder has already is not copied again, and is not even read.

    A kill leaves the backups that were there, and contents that the next one uses.

    Parameters
    ----------
    on_progress
        Is told how many of how many files are done; a new round begins anew.

    Raises
    ------
    BadData
        If the folder lies in the home, or holds anything but backups.
    Unavailable
        If there is no lake, it is being written to for too long, its files keep changing, or the folder cannot be
        written to.
    """
    since = perf_counter()
    folder = request.folder.absolute()
    if folder.is_relative_to(lake.home) or lake.home.is_relative_to(folder):
        raise BadData(f"a backup in {folder} would be lost together with {lake.home}; name a folder elsewhere")
    try:
        with open_store(folder, purpose=f"backup of {lake.home}", wait_seconds=lake.lock_wait_seconds) as store:
            copying = _Copying(lake.home, store, _read_known(store))
            manifest, rounds = _repeat(lambda: _copy_home(lake, request, copying, on_progress), lake.home)
            add_manifest(store, manifest)
            removed = remove_backups(store, keep=request.keep) if request.keep else ()
    except OSError as error:
        raise Unavailable(f"the backup into {folder} stopped: {error}; the next one uses what was copied") from error
    receipt = BackupReceipt(
        name=manifest.name,
        folder=str(folder),
        files=len(manifest.files),
        size_bytes=manifest.size_bytes,
        contents_copied=copying.contents,
        bytes_copied=copying.size_bytes,
        rounds=rounds,
        held_seconds=copying.held_seconds,
        seconds=perf_counter() - since,
        has_settings=manifest.has_settings,
        removed=removed,
    )
    _log.info("backup name=%s files=%d copied=%d seconds=%.2f", *_word(receipt))
    return receipt


def _word(receipt: BackupReceipt) -> tuple[str, int, int, float]:
    return receipt.name, receipt.files, receipt.contents_copied, receipt.seconds


def _read_known(store: Store) -> dict[str, StoredFile]:
    """The files of the newest backup by path; of one that cannot be read, none."""
    if not list_names(store):
        return {}
    try:
        return {file.path: file for file in find_manifest(store).files}
    except BadData as error:
        _log.warning("everything is copied anew: %s", error)
        return {}


def _repeat(copy: Callable[[], Manifest], home: Path) -> tuple[Manifest, int]:
    for number in range(1, _ROUNDS + 1):
        try:
            return copy(), number
        except _Changed as changed:
            _log.info("another round of the backup: %s", changed)
            last = changed
    raise Unavailable(f"{home} kept changing while it was copied, {_ROUNDS} times: {last}; take the backup again")


def _copy_home(lake: "Lake", request: BackupRequest, copying: _Copying, on_progress: OnProgress) -> Manifest:
    """Copy the lake's catalog first and the rest after it, so that nothing that it names can be missing."""
    draft = copying.store.drafts / "database"
    copy = copy_catalog(lake, draft)
    copying.held_seconds += copy.held_seconds
    catalog = _add_database(lake.catalog_file, draft, copying)
    others = list(list_files(lake.home, with_settings=request.with_settings))
    databases = [path for path in others if _is_database(path)]
    plain = [path for path in others if path not in {*databases}]
    files = [catalog]
    # Databases before files: MLflow's names a version only when its files are there.
    for path in databases:
        copy_database(path, draft, wait_seconds=lake.lock_wait_seconds)
        files.append(_add_database(path, draft, copying))
    if request.copy_runs is not None:
        request.copy_runs(draft)
        files.append(_add_database(lake.home / RUNS, draft, copying))
    shared, own = list_shared(lake, copy.files), (*list_own(lake, copy.files), *plain)
    count = len(files) + len(shared) + len(own)
    for source in chain(shared, (_look_at(lake.home, path) for path in own)):  # each when its turn has come
        files.append(_add_file(source, copying))
        on_progress(len(files), count)
    _check_unchanged(plain, copying)
    return Manifest(
        name=request.run_id,
        made_at=request.now,
        home=str(lake.home),
        schema_version=copy.release.schema_version if copy.release else 0,
        release=copy.release.name if copy.release else "",
        releases=request.releases,
        files=tuple(files),
    )


def _look_at(home: Path, path: Path) -> Source:
    try:
        return look_at(home, path)
    except FileNotFoundError as error:
        raise _Changed(f"{path} is gone") from error


def _is_database(path: Path) -> bool:
    try:
        return is_database(path)
    except FileNotFoundError as error:
        raise _Changed(f"{path} is gone") from error


def _add_database(path: Path, draft: Path, copying: _Copying) -> StoredFile:
    """Add the copy of a database under the name of the file that it is, or, if it is a server's, would be."""
    source = look_at(copying.home, path) if path.exists() else None
    name = path.relative_to(copying.home).as_posix()
    status = draft.stat()
    return _add(source or Source(name, str(draft), status.st_size, status.st_mtime_ns), draft, copying)


def _add_file(source: Source, copying: _Copying) -> StoredFile:
    """Add a file that is as it was when an earlier backup, or round, looked at it, or else its content."""
    known = copying.known.get(source.name)
    if known and source.is_as(known) and locate_content(copying.store, known.sha256).exists():
        return known
    try:
        return _add(source, source.bring(copying.store.drafts / "fetched"), copying)
    except FileNotFoundError as error:
        raise _Changed(f"{source.address} is gone") from error


def _add(source: Source, content: Path, copying: _Copying) -> StoredFile:
    digest, size_bytes, is_new = add_content(copying.store, content)
    copying.contents += is_new
    copying.size_bytes += size_bytes * is_new
    file = StoredFile(source.name, size_bytes, digest, source.mode, source.modified_ns)
    copying.known[source.name] = file
    return file


def _check_unchanged(plain: Iterable[Path], copying: _Copying) -> None:
    """Check that files which may be written to are what was copied; one that is gone by now was whole before."""
    for path in plain:
        known = copying.known[path.relative_to(copying.home).as_posix()]
        if path.exists() and not look_at(copying.home, path).is_as(known):
            raise _Changed(f"{path} was written to")
