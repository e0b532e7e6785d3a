"""What is known of channels and videos when a request comes: Feast's online store, as of its last filling.

Ages are those at the instant of the filling, at which all values were true together: so an answer changes with a
filling or a champion, and never by the minute, and the batch at that instant says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from feature_repo.feature_registry import read_registry
from feature_repo.lake import Lake, read_lake
from feature_repo.online import OnlineReader, OnlineState, read_online_state

_MOST_KEPT: Final = 20_000
Key = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What was read since the last filling: values by service and key. Thrown away whole with the next one."""

    state: OnlineState | None
    registry: bytes
    readers: Mapping[str, OnlineReader]
    values: dict[tuple[str, Key], Mapping[str, Any]] = field(default_factory=dict)


class OnlineContext:
    """Features of channels and videos for requests, remembered until the store is filled again."""

    def __init__(self, lake: Lake, services: Sequence[str]) -> None:
        self._lake = lake
        self._services = tuple(services)
        self._reading = Lock()  # Feast's store on SQLite is for one thread at a time
        self._held = Held(None, b"", {})

    @property
    def state(self) -> OnlineState | None:
        """What the store holds; None if it was never filled."""
        return self._held.state

    def refresh(self) -> None:
        """Forget what was read if the store was filled, or the definitions were applied, since.

        Raises
        ------
        Unavailable
            If the lake cannot be read, or definitions were never applied.
        """
        registry = read_registry(self._lake)
        with read_lake(self._lake) as connection:
            state = read_online_state(connection)
        if (state, registry) == (self._held.state, self._held.registry):
            return
        # Feast takes seconds to import and to open: no request waits for that.
        readers = self._held.readers
        if registry != self._held.registry:
            readers = {service: OnlineReader(self._lake, service) for service in self._services}
        held = Held(state, registry, readers)
        with self._reading:
            for service in self._services:
                self._fill(held, service, [(("channel_id", None), ("video_id", None))])
            self._held = held

    def hold(self) -> Held:
        """What is known now: whoever holds it reads all from the same filling."""
        return self._held

    def read(self, held: Held, service: str, keys: Sequence[Mapping[str, str | None]]) -> list[Mapping[str, Any]]:
        """The features for some keys, in their order; none before the store was first filled."""
        if held.state is None:
            return [{} for _ in keys]
        wanted: list[Key] = [tuple(sorted(key.items())) for key in keys]
        missing = [key for key in dict.fromkeys(wanted) if (service, key) not in held.values]
        if missing:
            with self._reading:
                self._fill(held, service, missing)
        return [held.values[service, key] for key in wanted]

    def _fill(self, held: Held, service: str, keys: Sequence[Key]) -> None:
        if held.state is None:
            return
        found = held.readers[service].read([dict(key) for key in keys], at=held.state.filled_at)
        if len(held.values) > _MOST_KEPT and held is self._held:  # or a later filling is there already
            self._held = Held(held.state, held.registry, held.readers)
        for key, values in zip(keys, found, strict=True):
            held.values[service, key] = values
