"""Seconds per stage of a run; what the stages are is for the run to say."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


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

    def time_each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """Give out items, and count the time that each is waited for towards a stage."""
        waiting = iter(items)
        while True:
            with self.time(stage):
                item = next(waiting, None)
            if item is None:
                return
            yield item

    def advance(self, started_at: datetime) -> datetime:
        """The instant it is now, if the run began at `started_at`; no clock is asked for the date."""
        return started_at + timedelta(seconds=perf_counter() - self._started)
