"""Pages that a run's artifact leads to while `scorelake up` runs: versions in MLflow, reports, and their pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from feature_repo.lake import Lake
from flows.up_state import read_state
from training.resolved import resolve_again


@dataclass(frozen=True, slots=True)
class Pages:
    """Addresses by what they show, and that of a picture; none while nothing serves them."""

    links: Mapping[str, str] = field(default_factory=dict)
    picture: str | None = None


def find_version_pages(lake: Lake, model: str, version: str) -> Pages:
    """The pages of a version in MLflow, with its confusion matrix as the picture."""
    state = read_state(lake.home)
    if state is None or not state.is_alive:
        return Pages()
    run = resolve_again(lake, model, version).run_id
    name = f"{model} version {version} in MLflow"
    picture = f"{state.mlflow}/get-artifact?path=plots%2Fconfusion.png&run_uuid={quote(run)}"
    return Pages({name: f"{state.mlflow}/#/models/{quote(model)}/versions/{quote(version)}"}, picture)


def find_report_pages(home: Path, names: Mapping[str, Path], picture: Path) -> Pages:
    """The pages of files under reports/, by what they show."""
    state = read_state(home)
    if state is None or not state.is_alive or not state.reports:
        return Pages()
    links = {said: f"{state.reports}/{quote(file.name)}" for said, file in names.items()}
    return Pages(links, f"{state.reports}/{quote(picture.name)}")
