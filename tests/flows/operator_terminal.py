"""A terminal in which `scorelake up` runs, and another one beside it, for tests of what an operator sees."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.flows.prefect_calls import call, wait_for


class Operator:
    """Starts `scorelake up` on a home, reads what it says, and runs commands beside it."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder, self.processes = home, folder, []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.environment = {**kept, "SCORELAKE_HOME": str(home), "COLUMNS": "200"}

    def start(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "out").open("wb") as out, (self.folder / "said").open("wb") as said:
            command = [sys.executable, "-m", "flows.cli", "up", "--json"]
            self.processes.append(subprocess.Popen(command, env=self.environment, stdout=out, stderr=said))
        return self.processes[-1]

    def wait_for_word(self, word: str) -> None:
        wait_for(f"{word!r} in {self.said}", lambda: word in self.said or not self.is_running())
        assert word in self.said

    def read_receipt(self) -> dict[str, Any]:
        wait_for("the start of everything", lambda: self.out.endswith("}\n") or not self.is_running())
        assert self.out, self.said
        return json.loads(self.out)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *command], env=self.environment, capture_output=True, text=True
        )

    def is_running(self) -> bool:
        return self.processes[-1].poll() is None

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def read_pids(self) -> dict[str, int]:
        return {
            name: mark["pid"] for name, mark in json.loads((self.home / "up.json").read_text())["processes"].items()
        }


@contextmanager
def open_terminal(home: Path, folder: Path) -> Iterator[Operator]:
    """An operator at a home; whatever happens, what was started ends."""
    operator = Operator(home, folder)
    try:
        yield operator
    finally:
        for process in operator.processes:
            process.terminate()  # one that has ended is not asked again
            process.wait(timeout=120)


def read_end(api: str, run_id: str) -> dict[str, Any] | None:
    run = call(f"{api}/flow_runs/{run_id}")
    return run if run["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
