"""The manifest of a backup: which file had which content, and which releases wrote them.

How contents are stored is in `store`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from feature_repo.errors import BadData
from feature_repo.whole_files import write_whole

FORMAT: Final = 1
SETTINGS: Final = "scorelake.env"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a home.

    Parameters
    ----------
    path
        Below the home, with slashes.
    sha256
        Of the content, in hex; what it is stored by.
    modified_ns
        When it was written to, nanoseconds since 1970; with the size it tells a later backup whether it is the same.
    """

    path: str
    size_bytes: int
    sha256: str
    mode: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup.

    Parameters
    ----------
    name
        Run that made it; names sort by time.
    made_at
        Instant of the lake's state (UTC).
    home
        Where it was taken.
    schema_version
        Of the lake's tables; 0 if the lake does not say.
    release
        Which scorelake brought the lake to that schema; empty if the lake does not say.
    releases
        Versions of the libraries that wrote what is in it, by name.
    """

    name: str
    made_at: datetime
    home: str
    schema_version: int
    release: str
    releases: Mapping[str, str]
    files: tuple[StoredFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files, as they lie in a home."""
        return sum(file.size_bytes for file in self.files)

    @property
    def has_settings(self) -> bool:
        """Whether the settings, and with them the key of the authors' hash, are in it."""
        return any(file.path == SETTINGS for file in self.files)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest whole or not at all, with a digest of itself."""
    content = asdict(manifest) | {"format": FORMAT, "made_at": manifest.made_at.isoformat()}
    write_whole(path, json.dumps({**content, "sha256": _digest(content)}, indent=1))
    path.chmod(0o600)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; raises `BadData` if it is damaged, or of a format that a later release has made."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("sha256")
        form = content.pop("format")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadData(f"the manifest {path} cannot be read: {error}; take another backup of this folder") from error
    if form != FORMAT:
        raise BadData(
            f"the manifest {path} is of format {form}, this release reads {FORMAT}; use the one that wrote it"
        )
    if _digest({**content, "format": form}) != digest:
        raise BadData(f"the manifest {path} is damaged: it is not what was written; take another backup of this folder")
    content["made_at"] = datetime.fromisoformat(content["made_at"])
    content["files"] = tuple(StoredFile(**file) for file in content["files"])
    return Manifest(**content)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
