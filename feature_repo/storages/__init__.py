"""Where a lake keeps its files: below its home on one host, in a bucket that speaks S3 for several.

Files and folders have addresses: absolute paths, or s3://bucket/key. What is in them, and whose they are, is not this
package's affair; scratch files of one process are not kept here, but below the home of its host.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, its size, and when it was last written to (UTC)."""

    address: str
    size_bytes: int
    written_at: datetime


class Storage(Protocol):
    """Files by address; a folder is what is in it, and need not be made."""

    extensions: ClassVar[tuple[str, ...]]
    """The extensions of DuckDB that read and write it."""

    @property
    def data(self) -> str:
        """Folder of the Parquet files of the tables, DuckLake's property."""

    @property
    def staging(self) -> str:
        """Folder of what waits to be published: beside the data, for orphan cleanup lists what lies inside."""

    @property
    def artifacts(self) -> str:
        """Folder of the files of models, MLflow's property."""

    def prepare(self) -> None:
        """Make what must be there before the first file; raises `BadData` or `Unavailable` if it cannot be used."""

    def list_secrets(self) -> tuple[str, ...]:
        """Statements that give DuckDB what it needs to get in."""

    def list_folders(self, folder: str) -> list[str]:
        """Names of the folders directly below one, sorted; none if it is not there."""

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder, however deep; those that go meanwhile are left out."""

    def measure(self, file: str) -> int | None:
        """Bytes of a file; None if it is not there."""

    def read(self, file: str) -> bytes:
        """Read a file; raises `FileNotFoundError`."""

    def write(self, file: str, content: bytes) -> None:
        """Write a file whole or not at all, in the place of what was there."""

    def open_draft(self, file: str) -> AbstractContextManager[Path]:
        """A file of this host, to be written; what it holds at the end is at the address, if nothing was raised."""

    def fetch(self, file: str) -> Path:
        """A file of this host with what the file holds now, to be read only; raises `FileNotFoundError`."""

    def copy_out(self, file: str, target: Path) -> None:
        """Copy a file to a path of this host; raises `FileNotFoundError`."""

    def move(self, source: str, target: str) -> str:
        """Bring a file of this host, or of this storage, to an address that nobody has; returns the address."""

    def delete(self, address: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing if it is not there."""
