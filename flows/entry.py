"""How every run begins: its settings, its instant and its id. The one place where the clock is read."""

import secrets
from collections.abc import Callable
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
    settings = read_settings()
    if settings.lake.is_shared:  # and this may be the first run on this host
        settings.home.mkdir(parents=True, exist_ok=True)
    return Entry(kind, model, settings, at, f"{name}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")


def name_run(template: str) -> Callable[[], str]:
    """Name Prefect's runs by what they do and as of when: `score-spam 2026-11-20 16:15`, in UTC.

    Parameters
    ----------
    template
        With parameters of the flow in braces.
    """

    def name() -> str:
        from prefect.runtime import flow_run  # noqa: PLC0415 - takes seconds, and here it has been imported

        at = flow_run.parameters.get("now") or flow_run.scheduled_start_time
        return f"{template.format(**flow_run.parameters)} {at.astimezone(UTC):%Y-%m-%d %H:%M}"

    return name
