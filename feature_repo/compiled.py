"""A service's retrieval for batch scoring, compiled by Feast once and kept beside its registry.

An hourly run has a few seconds of work, and Feast takes as many to import. What it compiles changes with the registry
and with our own code alone: as long as both are the same, so is the statement.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from feature_repo.feature_registry import read_registry
from feature_repo.history import Window
from feature_repo.lake import Lake
from feature_repo.retrieval import build_spine, compile_features, describe_service
from feature_repo.whole_files import write_whole

# The relation that the statement asks for, with the columns of `build_spine`; its instants lie in the window.
ROWS: Final = "owed_rows"
WINDOW: Final = Window(
    since="getvariable('observed_since')", until="getvariable('observed_until')", upto="getvariable('data_version')"
)

_CODE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class CompiledService:
    """A feature service, ready to be asked without Feast.

    Parameters
    ----------
    digest
        Of the service's definition, see `ServiceDefinition`.
    sql
        One row per row of the relation `ROWS`, in any order: its columns and the features. It runs on any connection
        of `read_lake` on which that relation and the variables in `WINDOW` are set.
    """

    digest: str
    sql: str


def compile_service(lake: Lake, service: str) -> CompiledService:
    """The service as the registry has it now: as it was kept, or compiled by Feast.

    Raises
    ------
    Unavailable
        If the definitions were never applied to this lake.
    BadData
        If there is no such service.
    """
    kept = lake.home / "feast" / "compiled" / f"{hashlib.sha256(service.encode()).hexdigest()[:16]}.json"
    stamp = _compute_stamp(read_registry(lake), service)
    if (found := _read(kept)) and found["stamp"] == stamp:
        return CompiledService(found["digest"], found["sql"])
    compiled = _compile(lake, service)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps({"stamp": stamp, **asdict(compiled)}))
    return compiled


def _compile(lake: Lake, service: str) -> CompiledService:
    spine = build_spine(data_version=0).strip()
    before, asked, after = compile_features(lake, service, spine, data_version=0, window=WINDOW).partition(spine)
    if not asked:
        raise AssertionError("Feast has rewritten the query for the spine")
    return CompiledService(describe_service(lake, service).digest, f"{before}from {ROWS}{after}")


def _compute_stamp(registry: bytes, service: str) -> str:
    """What the statement hangs on: the registry, byte by byte, and the source of this package."""
    digest = hashlib.sha256(f"{service}\0".encode() + registry)
    for path in sorted([*_CODE.glob("*.py"), *_CODE.glob("*.sql"), *_CODE.glob("*.yaml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(kept: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
