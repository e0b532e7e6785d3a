"""Programs that are kept running: started in a group of their own, and started again, ever later, when they die."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from feature_repo.errors import Unavailable
from flows.processes import ProcessMark, mark_process

_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0
_STABLE_SECONDS: Final = 60.0  # one that ran for so long begins again with the first wait
_LOG_BYTES: Final = 10 << 20  # one larger than that makes way, as the one before


@dataclass(slots=True)
class Service:
    """One program: how it is started, and how it stands.

    Parameters
    ----------
    log
        File that what it says is appended to.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    failures: int = 0
    changed_at: float = field(default_factory=time.monotonic)

    @property
    def wait_seconds(self) -> float:
        """How long it stays down after it died: twice as long each time."""
        return min(_FIRST_WAIT_SECONDS * 2.0 ** (self.failures - 1), _LONGEST_WAIT_SECONDS)

    def start(self) -> ProcessMark:
        """Start it in a session of its own: a Ctrl-C in the terminal is for whoever started it alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.shorten_log()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
                self.command,
                env={**os.environ, **self.environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.changed_at = time.monotonic()
        return mark_process(self.process.pid)

    def shorten_log(self) -> None:
        """Put a log that has grown large aside, in the place of the one before; the program writes on meanwhile.

        It appends, so it goes on at the beginning. What it says within the instant between is lost.
        """
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".before.log"))
            os.truncate(self.log, 0)

    def read_exit(self) -> int | None:
        """The exit code with which it has just died, once; None while it runs or is known to be down."""
        if self.process is None or self.process.poll() is None:
            return None
        code = self.process.returncode
        is_stable = time.monotonic() - self.changed_at > _STABLE_SECONDS
        self.failures = 1 if is_stable else self.failures + 1
        self.process, self.changed_at = None, time.monotonic()
        return code

    def is_due(self) -> bool:
        """Whether it is down and has been so for long enough."""
        return self.process is None and time.monotonic() - self.changed_at >= self.wait_seconds

    def wait(self) -> None:
        """Wait for a program that ends by itself; raises `Unavailable` with its last line if it failed."""
        if self.process is not None and self.process.wait():
            raise Unavailable(f"{self.name} failed: {read_last_line(self.log)}; its log is {self.log}")


def describe_exit(code: int) -> str:
    """Say how a process ended."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def read_last_line(log: Path) -> str:
    """The last line of a log that says anything."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
