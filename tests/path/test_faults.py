"""Runs that are killed, doubled, starved and locked out, in short; `python -m tests.path.faults` does it at length."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.path


def try_faults(home: Path, *faults: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.path.faults", str(home), "--seed", "11", *faults]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("{"), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_after_every_fault_the_next_run_leaves_nothing_lost_twice_or_behind(trained_home: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained_home, tmp_path / "home"))
    found = try_faults(home, *["--kill", "1", "--worker", "1", "--double", "1", "--lock", "1", "--readers", "1"])
    assert found["wrong"] == []
    assert sum(found["faults"].values()) == 4
    assert found["hits"]["lock"] == found["hits"]["double"] == 1


@contextmanager
def mount(folder: Path, mebibytes: int) -> Iterator[None]:
    """A disk of its own, in memory."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("a small disk of its own can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_after_the_disk_was_full_the_next_run_leaves_nothing_lost_twice_or_behind(
    trained_home: Path, tmp_path: Path
) -> None:
    with mount(tmp_path / "disk", 200):
        home = Path(shutil.copytree(trained_home, tmp_path / "disk" / "home"))
        found = try_faults(home, "--disk", "2")
    assert found["wrong"] == []
    assert found["hits"]["disk"] > 0
