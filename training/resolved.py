"""Versions that were resolved before, found again without MLflow: a scoring run of a few seconds has no time for it."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.whole_files import write_whole
from training.registry import HASH_TAGS, ModelVersion, check_files, locate_artifacts, resolve
from training.run_log import DESCRIPTOR_FILE, MODEL_FILE

if TYPE_CHECKING:
    from feature_repo.lake import Lake


def resolve_again(lake: "Lake", model: str, number: str) -> ModelVersion:
    """What `registry.resolve` finds under a number, as it was kept when it was first asked for.

    What was registered under a number never changes, and the files of pipeline and descriptor are checked every time.
    Without the aliases. Raises as `resolve` does.
    """
    artifacts = locate_artifacts(lake)
    kept = artifacts.parent / "resolved" / f"{model}-{number}.json"
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
        folder = artifacts / said["folder"]
        descriptor = json.loads((folder / DESCRIPTOR_FILE).read_text(encoding="utf-8"))
        run_id, digests = said["run_id"], said["digests"]
    except (OSError, ValueError, KeyError):
        found = resolve(lake, model, number)
        _keep(found, kept, artifacts)
        return found
    found = ModelVersion(model, number, run_id, folder / MODEL_FILE, descriptor)
    check_files(found, digests)
    return found


def _keep(version: ModelVersion, kept: Path, artifacts: Path) -> None:
    folder = version.path.parent
    digests = {
        HASH_TAGS[name]: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (MODEL_FILE, DESCRIPTOR_FILE)
    }
    said = {"run_id": version.run_id, "folder": folder.relative_to(artifacts).as_posix(), "digests": digests}
    kept.parent.mkdir(exist_ok=True)
    write_whole(kept, json.dumps(said))
