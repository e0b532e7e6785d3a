"""Files below a lake's home, for one host."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from feature_repo.storages import StoredFile
from feature_repo.whole_files import write_whole


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """A home; data and staging are of one filesystem, so that a file moves by its name alone."""

    extensions: ClassVar[tuple[str, ...]] = ()

    home: Path

    @property
    def data(self) -> str:
        """Folder of the Parquet files of the tables."""
        return str(self.home / "lake" / "data")

    @property
    def staging(self) -> str:
        """Folder of what waits to be published."""
        return str(self.home / "staging")

    @property
    def artifacts(self) -> str:
        """Folder of the files of models."""
        return str(self.home / "mlflow" / "artifacts")

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.data, self.staging):
            Path(folder).mkdir(parents=True, exist_ok=True)

    def list_secrets(self) -> tuple[str, ...]:
        """None: permissions of files say who gets in."""
        return ()

    def list_folders(self, folder: str) -> list[str]:
        """Names of the folders directly below one, sorted; none if it is not there."""
        at = Path(folder)
        return sorted(one.name for one in at.iterdir() if one.is_dir()) if at.exists() else []

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder, however deep; those that go meanwhile are left out."""
        for path in Path(folder).rglob("*"):
            try:
                if path.is_file():
                    found = path.stat()
                    yield StoredFile(str(path), found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
            except FileNotFoundError:
                continue

    def measure(self, file: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        try:
            return Path(file).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, file: str) -> bytes:
        """Read a file; raises `FileNotFoundError`."""
        return Path(file).read_bytes()

    def write(self, file: str, content: bytes) -> None:
        """Write a file whole or not at all, in the place of what was there."""
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)

    @contextmanager
    def open_draft(self, file: str) -> Iterator[Path]:
        """The file itself: who must know whether it is whole writes something else after it."""
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    def fetch(self, file: str) -> Path:
        """The file itself; raises `FileNotFoundError`."""
        path = Path(file)
        path.stat()
        return path

    def copy_out(self, file: str, target: Path) -> None:
        """Copy a file to a path; raises `FileNotFoundError`."""
        shutil.copyfile(file, target)

    def move(self, source: str, target: str) -> str:
        """Give a file another name; returns it."""
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(source).rename(target)
        return target

    def delete(self, address: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing if it is not there."""
        path = Path(address)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
