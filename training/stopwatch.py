"""Seconds per stage of a run; what the stages are is for the run to say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter


@dataclass(slots=True)
class Stopwatch:
    """Collects how long each stage took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=perf_counter)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the time inside towards a stage."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - started

    def advance(self, started_at: datetime) -> datetime:
        """The instant it is now, if the run began at `started_at`; no clock is asked for the date."""
        return started_at + timedelta(seconds=perf_counter() - self._started)
