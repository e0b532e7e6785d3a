"""What made a model besides its data: the commit, whether the tree was clean, and the locked dependencies."""

import hashlib
import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]


def read_provenance(root: Path = _ROOT) -> dict[str, str]:
    """Commit, dirtiness ("true" or "false") and SHA-256 of the lock file; "unknown" where there is none."""
    lock = root / "uv.lock"
    changes = _ask_git(root, "status", "--porcelain")
    return {
        "git_commit": _ask_git(root, "rev-parse", "HEAD") or "unknown",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unknown",
    }


def _ask_git(root: Path, *arguments: str) -> str | None:
    try:
        # An installed package is no working tree, whatever repository lies around it.
        if not (root / ".git").exists():
            return None
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return None
