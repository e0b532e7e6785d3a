import hashlib
import os
import subprocess
import sys
from pathlib import Path

from training.provenance import digest_code, read_environment, read_provenance


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


def test_the_environment_is_what_a_lock_file_does_not_fix() -> None:
    assert read_environment() == {
        "python": ".".join(map(str, sys.version_info[:3])),
        "machine": f"{os.uname().sysname} {os.uname().machine}",
    }


def test_code_is_digested_by_name_and_content_of_every_source(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return digest_code(tmp_path)

    seen = [write("fit.py", "a = 1"), write("specs/spam.py", "b = 2"), write("rows.sql", "select 1")]
    seen.append(write("fit.py", "a = 2"))
    assert len(set(seen)) == 4
    assert write("__pycache__/fit.cpython-311.pyc", "") == seen[-1], "what is not written by hand does not count"
    (tmp_path / "rows.sql").rename(tmp_path / "others.sql")
    assert digest_code(tmp_path) != seen[-1]
    assert write("fit.py", "a = 2") == digest_code(tmp_path)
