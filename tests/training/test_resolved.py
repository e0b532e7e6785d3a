"""Versions that were resolved before, found again without MLflow."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from training.registry import resolve
from training.resolved import resolve_again


@pytest.fixture
def trained(trained_home: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(trained_home, tmp_path / "trained"))


# In another process, which tells whether it needed MLflow.
AGAIN = """
import json, sys
from pathlib import Path
from feature_repo.lake import Lake
from training.resolved import resolve_again
found = resolve_again(Lake(Path(sys.argv[1])), "sentiment", "1")
print(json.dumps([found.version, found.run_id, str(found.path), found.descriptor["run_id"], "mlflow" in sys.modules]))
"""


def ask_again(lake: Lake) -> list[Any]:
    done = subprocess.run([sys.executable, "-c", AGAIN, lake.home], capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


def test_a_new_champion_needs_no_mlflow(trained: Lake) -> None:
    assert ask_again(trained)[-1] is False


def test_what_was_resolved_once_needs_no_mlflow(trained: Lake, tmp_path: Path) -> None:
    first = resolve(trained, "sentiment", "1")
    said = [first.version, first.run_id, str(first.path), first.descriptor["run_id"]]
    shutil.rmtree(trained.home / "mlflow" / "resolved")
    assert ask_again(trained) == [*said, True]
    assert ask_again(trained) == [*said, False]
    moved = Lake(shutil.copytree(trained.home, tmp_path / "moved"))
    assert ask_again(moved)[2:] == [said[2].replace(str(trained.home), str(moved.home)), said[3], False]


@pytest.mark.parametrize("name", ["model.skops", "descriptor.json"])
def test_an_altered_file_is_refused_without_mlflow_too(trained: Lake, name: str) -> None:
    file = resolve_again(trained, "sentiment", "1").path.with_name(name)
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(BadData, match="is not the one that was registered"):
        resolve_again(trained, "sentiment", "1")
