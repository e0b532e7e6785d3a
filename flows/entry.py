"""How every run begins: its settings, its instant and its id. The one place where the clock is read."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from feature_repo.lake import Lake
from flows.settings import Settings, read_settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: what it does, for which model, where, when, and under which id."""

    kind: str
    model: str | None
    settings: Settings
    now: datetime
    run_id: str

    @property
    def lake(self) -> Lake:
        """The lake the run works on."""
        return self.settings.lake


def begin(kind: str, model: str | None = None, now: datetime | None = None) -> Entry:
    """Begin a run: read the settings and, if the caller gave no instant, the clock."""
    at = now or datetime.now(UTC)
    name = f"{kind}-{model}" if model else kind
    return Entry(kind, model, read_settings(), at, f"{name}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
