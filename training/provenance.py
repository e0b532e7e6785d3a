"""What made a model besides its data: the commit, whether the tree was clean, the locked dependencies, the code."""

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_SOURCES: Final = frozenset({".py", ".sql", ".toml"})


def read_provenance(root: Path = _ROOT) -> dict[str, str]:
    """Commit, dirtiness ("true" or "false") and SHA-256 of the lock file; "unknown" where there is none."""
    lock = root / "uv.lock"
    changes = _ask_git(root, "status", "--porcelain")
    return {
        "git_commit": _ask_git(root, "rev-parse", "HEAD") or "unknown",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "unknown",
    }


def read_environment() -> dict[str, str]:
    """What a lock file does not fix and bits may hang on: the release of Python, the kind of machine, who adds up sums.

    The last is the library of linear algebra with its kernels, such as "openblas Haswell"; "unknown" if none is seen.
    """
    import scipy.linalg  # noqa: F401, PLC0415 - its library is seen once it is loaded
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # noqa: PLC0415 - ships no types

    loaded = (one for one in threadpool_info() if one["user_api"] == "blas")
    libraries = {f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in loaded}
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "blas": ", ".join(sorted(libraries)) or "unknown",
    }


def digest_code(folder: Path = _ROOT / "training") -> str:
    """SHA-256, in hex, of the source of this package, statements and specs included; nothing else is read.

    Every file counts: to tell which of them a fit hangs on would be one more thing to get wrong.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _SOURCES):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _ask_git(root: Path, *arguments: str) -> str | None:
    try:
        # An installed package is no working tree, whatever repository lies around it.
        if not (root / ".git").exists():
            return None
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return None
