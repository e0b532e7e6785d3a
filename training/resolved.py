"""Versions that were resolved before, found again without MLflow: a scoring run of a few seconds has no time for it."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.whole_files import write_whole
from training.registry import resolve
from training.run_log import DESCRIPTOR_FILE, MODEL_FILE
from training.version import HASH_TAGS, ModelVersion, check_files

if TYPE_CHECKING:
    from feature_repo.lake import Lake


def resolve_again(lake: "Lake", model: str, number: str) -> ModelVersion:
    """What `registry.resolve` finds under a number, as it was kept when it was first asked for.

    What was registered under a number never changes, and the files of pipeline and descriptor are checked every time.
    Without the aliases. Raises as `resolve` does.
    """
    kept = lake.home / "mlflow" / "resolved" / f"{model}-{number}.json"
    artifacts = lake.storage.artifacts
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
        folder = f"{artifacts}/{said['folder']}"
        descriptor = json.loads(lake.storage.fetch(f"{folder}/{DESCRIPTOR_FILE}").read_text(encoding="utf-8"))
        run_id, digests = said["run_id"], said["digests"]
    except (OSError, ValueError, KeyError):
        found = resolve(lake, model, number)
        _keep(found, kept, artifacts)
        return found
    found = ModelVersion(model, number, run_id, folder, descriptor, lake.storage)
    check_files(found, digests)
    return found


def _keep(version: ModelVersion, kept: Path, artifacts: str) -> None:
    digests = {
        HASH_TAGS[name]: hashlib.sha256(version.storage.fetch(version.locate(name)).read_bytes()).hexdigest()
        for name in (MODEL_FILE, DESCRIPTOR_FILE)
    }
    said = {"run_id": version.run_id, "folder": version.folder.removeprefix(f"{artifacts}/"), "digests": digests}
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(said))
