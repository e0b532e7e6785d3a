"""Where backups lie: contents by their digest, so that backups share what is the same, and a manifest for each backup.

<folder>/contents/ab/cdef…     one content each, named by its SHA-256
<folder>/manifests/<name>.json
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from feature_repo.backups.manifest import Manifest, StoredFile, read_manifest, write_manifest
from feature_repo.errors import BadData
from feature_repo.file_lock import hold_lock

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of backups."""

    folder: Path

    @property
    def manifests(self) -> Path:
        """A manifest for each backup."""
        return self.folder / "manifests"

    @property
    def contents(self) -> Path:
        """The contents of files, by digest."""
        return self.folder / "contents"

    @property
    def drafts(self) -> Path:
        """What is being copied; of no use to anybody else, or after a kill."""
        return self.folder / "drafts"


@contextmanager
def open_store(folder: Path, *, purpose: str, wait_seconds: float) -> Iterator[Store]:
    """Open a folder of backups for writing, alone; it is made if missing, for its owner only.

    Raises `BadData` if it holds anything else, and `Unavailable` if somebody else is writing to it.
    """
    store = Store(folder)
    if folder.exists() and not folder.is_dir():
        raise BadData(f"expected a folder, found a file: {folder}")
    others = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if others and not store.manifests.exists():
        raise BadData(f"expected an empty folder or one with backups, found {others[:5]} in {folder}; name another one")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for own in (store.manifests, store.contents):
        own.mkdir(mode=0o700, exist_ok=True)
    with hold_lock(folder / "backup.lock", purpose, wait_seconds):
        shutil.rmtree(store.drafts, ignore_errors=True)
        store.drafts.mkdir(mode=0o700)
        yield store
        shutil.rmtree(store.drafts)


def list_names(store: Store) -> list[str]:
    """Names of the backups, the oldest first."""
    return sorted(path.stem for path in store.manifests.glob("*.json"))


def find_manifest(store: Store, name: str | None = None) -> Manifest:
    """The backup of a name, the newest if None; raises `BadData` if there is none."""
    names = list_names(store)
    if not names:
        raise BadData(f"no backups in {store.folder}; make one with `scorelake backup {store.folder}`")
    if name is not None and name not in names:
        raise BadData(f"no backup {name!r} in {store.folder}; the newest are {', '.join(names[-5:])}")
    return read_manifest(store.manifests / f"{name or names[-1]}.json")


def add_manifest(store: Store, manifest: Manifest) -> None:
    """Add a backup whose contents are all there; from now on it can be restored."""
    write_manifest(store.manifests / f"{manifest.name}.json", manifest)


def locate_content(store: Store, digest: str) -> Path:
    """Where the content of a digest is, or would be."""
    return store.contents / digest[:2] / digest[2:]


def add_content(store: Store, source: Path) -> tuple[str, int, bool]:
    """Add a file's content; returns its digest, its bytes, and whether it was new. On the disk when this returns."""
    draft = store.drafts / "content"
    with source.open("rb") as read, draft.open("wb") as written:
        os.fchmod(written.fileno(), 0o600)
        digest, size_bytes = _copy(read, written)
        written.flush()
        os.fsync(written.fileno())
    place = locate_content(store, digest)
    if place.exists() and place.stat().st_size == size_bytes:
        draft.unlink()
        return digest, size_bytes, False
    place.parent.mkdir(mode=0o700, exist_ok=True)
    draft.replace(place)
    return digest, size_bytes, True


def copy_out(store: Store, file: StoredFile, target: Path) -> None:
    """Write the content of a file to a path, with its mode and time; raises `BadData` if it is not what was stored."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with locate_content(store, file.sha256).open("rb") as read, target.open("xb") as written:
        os.fchmod(written.fileno(), file.mode)
        found, _ = _copy(read, written)
    _check(store, file, found)
    os.utime(target, ns=(file.modified_ns, file.modified_ns))


def check_content(store: Store, file: StoredFile) -> None:
    """Read the content of a file; raises `BadData` if it is not what was stored."""
    with locate_content(store, file.sha256).open("rb") as read:
        _check(store, file, hashlib.file_digest(read, "sha256").hexdigest())


def check_complete(store: Store, manifest: Manifest) -> None:
    """Look for the contents of all files, without reading them; raises `BadData` if one is gone or of another size."""
    broken = [file.path for file in manifest.files if _read_size(store, file) != file.size_bytes]
    if broken:
        raise BadData(
            f"the contents of {len(broken):,} of {len(manifest.files):,} files of backup {manifest.name} are gone or "
            f"of another size: {', '.join(broken[:5])}; take another backup"
        )


def remove_backups(store: Store, *, keep: int) -> tuple[str, ...]:
    """Remove all backups but the newest, and every content that none of those needs; returns their names."""
    names = list_names(store)
    gone = tuple(names[: max(0, len(names) - keep)])
    needed = {file.sha256 for name in names[len(gone) :] for file in find_manifest(store, name).files}
    for name in gone:  # first, so that what is left after a kill can be restored
        (store.manifests / f"{name}.json").unlink()
    for content in store.contents.glob("??/*"):
        if content.parent.name + content.name not in needed:
            content.unlink()
    return gone


def _copy(read: BinaryIO, written: BinaryIO) -> tuple[str, int]:
    digest = hashlib.sha256()
    while chunk := read.read(_CHUNK):
        digest.update(chunk)
        written.write(chunk)
    return digest.hexdigest(), written.tell()


def _check(store: Store, file: StoredFile, found: str) -> None:
    if found != file.sha256:
        raise BadData(
            f"the content of {file.path} in {store.folder} is damaged: expected SHA-256 {file.sha256}, found {found}; "
            f"delete {locate_content(store, file.sha256)}, and the next backup copies it anew, or restore another one"
        )


def _read_size(store: Store, file: StoredFile) -> int | None:
    place = locate_content(store, file.sha256)
    return place.stat().st_size if place.exists() else None
