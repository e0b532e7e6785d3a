"""Files that a backup holds, wherever they lie: below the home, or in a bucket. How they are found is in `contents`."""

from dataclasses import dataclass
from pathlib import Path

from feature_repo.backups.manifest import StoredFile
from feature_repo.storages import Storage
from feature_repo.storages import StoredFile as Listed

_MODE = 0o600  # of what has no mode of its own


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was looked at.

    Parameters
    ----------
    name
        Where it lies in a home, with slashes; what lies elsewhere has the place there that it would have.
    address
        Where it lies.
    storage
        What reads it; None if it is a path of this host.
    """

    name: str
    address: str
    size_bytes: int
    modified_ns: int
    mode: int = _MODE
    storage: Storage | None = None

    def is_as(self, known: StoredFile | None) -> bool:
        """Whether it is what an earlier backup has found, by size and time."""
        return known is not None and (known.size_bytes, known.modified_ns) == (self.size_bytes, self.modified_ns)

    def bring(self, draft: Path) -> Path:
        """A path of this host with its content; raises `FileNotFoundError` if it is gone."""
        if self.storage is None:
            return Path(self.address)
        self.storage.copy_out(self.address, draft)
        return draft


def look_at(home: Path, path: Path) -> Source:
    """A file below the home, as it is now; raises `FileNotFoundError`."""
    status = path.stat()
    name = path.relative_to(home).as_posix()
    return Source(name, str(path), status.st_size, status.st_mtime_ns, status.st_mode & 0o777)


def place(listed: Listed, storage: Storage, folder: str, name: str) -> Source:
    """A file of a folder that lies elsewhere, under the name of the folder that a home has for it."""
    modified_ns = int(listed.written_at.timestamp() * 1_000_000_000)
    inside = listed.address.removeprefix(f"{folder}/")
    return Source(f"{name}/{inside}", listed.address, listed.size_bytes, modified_ns, storage=storage)
