"""What a running `scorelake up` leaves for others to find: its addresses, and the processes that belong to it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from feature_repo.whole_files import write_whole
from flows.processes import ProcessMark

UP: Final = "up"  # the process of `scorelake up` itself, among its services
SERVER: Final = "prefect-server"


@dataclass(frozen=True, slots=True)
class UpState:
    """A `scorelake up`: the token that its processes bear, its addresses, and its services by name."""

    token: str
    prefect: str
    mlflow: str
    processes: Mapping[str, ProcessMark]
    reports: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the process of the `up` itself is there; a killed one leaves its state."""
        return UP in self.processes and self.processes[UP].find() is not None

    @property
    def api(self) -> str:
        """The Prefect API."""
        return f"{self.prefect}/api"


def locate_state(home: Path) -> Path:
    """The file that a running `up` keeps, and a killed one leaves."""
    return home / "up.json"


def read_state(home: Path) -> UpState | None:
    """Read the state of an `up`, which may be dead; None if there is none."""
    try:
        content = json.loads(locate_state(home).read_text())
        marks = {name: ProcessMark(**mark) for name, mark in content.pop("processes").items()}
        return UpState(**content, processes=marks)
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or one of another release
        return None


def write_state(home: Path, state: UpState) -> None:
    """Write the state whole or not at all: others read it at any moment."""
    write_whole(locate_state(home), json.dumps(asdict(state), indent=2))
