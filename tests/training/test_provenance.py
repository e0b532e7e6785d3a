import hashlib
import subprocess
from pathlib import Path

from training.provenance import read_provenance


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_dirtiness_and_lock_file_are_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "uv.lock").write_text("locked")
    git(tmp_path, "add", "uv.lock")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    clean = {
        "git_commit": git(tmp_path, "rev-parse", "HEAD"),
        "git_dirty": "false",
        "lock_sha256": hashlib.sha256(b"locked").hexdigest(),
    }
    assert read_provenance(tmp_path) == clean

    (tmp_path / "new.py").write_text("")
    assert read_provenance(tmp_path) == clean | {"git_dirty": "true"}


def test_an_installed_package_has_no_commit_even_inside_a_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    installed = tmp_path / "site-packages"
    installed.mkdir()
    assert read_provenance(installed) == dict.fromkeys(("git_commit", "git_dirty", "lock_sha256"), "unknown")
