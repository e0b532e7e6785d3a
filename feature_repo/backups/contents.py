"""What of a home is in a backup, and what is not.

In it is what cannot be made again: the lake, models, feature registry, online features, Prefect's state, reports and
files that wait for their ingest. Not in it is what belongs to processes, and what is made from the rest. Of a lake on
servers it is the same, as if it lay in the home. How the lake is copied is in `lake_copy`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.backups.manifest import SETTINGS
from feature_repo.backups.sources import Source, place
from feature_repo.storages import StoredFile
from feature_repo.storages.local import LocalStorage

if TYPE_CHECKING:
    from feature_repo.lake import Lake

RUNS: Final = "mlflow/mlflow.db"  # MLflow's store, as a file

_MADE_AGAIN: Final = {"published", "logs", "cache"}
_OF_PROCESSES: Final = {"staging", "staging.locks", "spill", "up.json"}
_LEFT_OUT: Final = _MADE_AGAIN | _OF_PROCESSES
_ENDINGS: Final = (".lock", ".holder.json", ".draft", ".log", "-wal", "-shm", "-journal")
_SQLITE: Final = b"SQLite format 3\x00"


def list_files(home: Path, *, with_settings: bool) -> Iterator[Path]:
    """The files of a home, but for its lake, that are in a backup; what is linked to lies elsewhere and is not."""
    for entry in sorted(home.iterdir()):
        is_secret = entry.name == SETTINGS and not with_settings
        if entry.name in {"lake", *_LEFT_OUT} or is_secret or entry.is_symlink():
            continue
        for path in (entry, *sorted(entry.rglob("*"))):
            if path.is_file() and not path.is_symlink() and not path.name.endswith(_ENDINGS):
                yield path


def list_own(lake: "Lake", listed: Iterable[StoredFile]) -> list[Path]:
    """Those of a lake's data files that lie below its home."""
    return [Path(one.address) for one in listed] if lake.bucket is None else []


def list_shared(lake: "Lake", listed: Iterable[StoredFile]) -> list[Source]:
    """A lake's data files and its models' that lie in a bucket, under the names that a home has for them."""
    if lake.bucket is None:
        return []
    storage, own = lake.storage, LocalStorage(lake.home)
    folders = {
        storage.data: (own.data, listed),
        storage.artifacts: (own.artifacts, storage.list_files(storage.artifacts)),
    }
    return [
        place(one, storage, folder, Path(here).relative_to(lake.home).as_posix())
        for folder, (here, files) in folders.items()
        for one in files
    ]


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, whatever it is called."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
