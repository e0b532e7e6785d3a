"""A registered model version and its files; how it is registered, and found again, is in `registry`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from training.run_log import DESCRIPTOR_FILE, MODEL_FILE, ROWS_FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_repo.storages import Storage

HASH_TAGS: Final = {
    MODEL_FILE: "model_sha256",
    DESCRIPTOR_FILE: "descriptor_sha256",
    ROWS_FILE: "spine_sha256",
}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version: the file of its pipeline, and all that scoring needs to know about it.

    Parameters
    ----------
    model, version
        Name, and number as text.
    run_id
        The MLflow run that made it.
    folder
        Where its files are, in the lake's storage.
    descriptor
        What `describe.build_descriptor` wrote: classes, matrix, feature service, data version, metrics, …
    aliases
        Among champion, challenger and previous, as MLflow has them.
    """

    model: str
    version: str
    run_id: str
    folder: str
    descriptor: Mapping[str, Any]
    storage: "Storage" = field(repr=False)
    aliases: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The skops file, on this host; `model.load_pipeline` reads it."""
        return self.storage.fetch(self.pipeline_file)

    @property
    def pipeline_file(self) -> str:
        """Address of the skops file."""
        return self.locate(MODEL_FILE)

    @property
    def descriptor_file(self) -> str:
        """Address of the file that the descriptor was read from."""
        return self.locate(DESCRIPTOR_FILE)

    def locate(self, name: str) -> str:
        """Address of one of its files."""
        return f"{self.folder}/{name}"


def read_kept_rows(version: ModelVersion) -> "pa.Table | None":
    """The rows that a resolved version keeps of its training set; None if it was registered without."""
    from pyarrow import parquet  # noqa: PLC0415 - scoring resolves versions and reads no rows

    try:
        return parquet.read_table(version.storage.fetch(version.locate(ROWS_FILE)))
    except FileNotFoundError:
        return None


def check_files(version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Check that the files are those that were registered, by their digests per tag; without a digest they pass.

    Raises `BadData` for one that is not.
    """
    for name, tag in HASH_TAGS.items():
        file, expected = version.locate(name), tags.get(tag)
        found = _digest_file(version, file)
        if found != expected and (expected is not None or name == MODEL_FILE):
            raise BadData(
                f"the file {file} is not the one that was registered: expected SHA-256 {expected}, found {found}. "
                "Restore it from a backup, or roll back to another version."
            )


def _digest_file(version: ModelVersion, file: str) -> str:
    try:
        return hashlib.sha256(version.storage.fetch(file).read_bytes()).hexdigest()
    except FileNotFoundError:
        return "no file"
