"""A check of the installation: what is looked at, what is found, and how it is put right and looked at again.

What there is to check is in `lake_checks`, `model_checks` and `prefect_checks`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from feature_repo.errors import ScorelakeError
from feature_repo.lake import Lake
from flows.settings import Settings

State = Literal["well", "wrong", "unknown", "repaired"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is looked at: a lake with its settings, and the Prefect API that it is run by, None if there is none."""

    settings: Settings
    now: datetime
    api: str | None

    @property
    def lake(self) -> Lake:
        """The lake."""
        return self.settings.lake


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look has shown.

    Parameters
    ----------
    found
        What there is, in a line.
    advice
        What to do about it; empty if nothing is to be done.
    is_repairable
        Whether the check's repair would help; what it cannot do is for people.
    """

    state: Literal["well", "wrong", "unknown"]
    found: str
    advice: str = ""
    is_repairable: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Parameters
    ----------
    meaning
        Why it matters.
    look
        Changes nothing.
    repair
        Puts right what the look has found and says what it did; None if that is for people.
    """

    name: str
    meaning: str
    look: Callable[[Scene], Sight]
    repair: Callable[[Scene], str] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has come to; `advice` is what to do, or, of what is repaired, what was done."""

    check: str
    state: State
    found: str
    meaning: str
    advice: str


def well(found: str) -> Sight:
    """Everything is as it should be."""
    return Sight("well", found)


def wrong(found: str, advice: str) -> Sight:
    """Something is wrong that people must put right."""
    return Sight("wrong", found, advice)


def broken(found: str, advice: str) -> Sight:
    """Something is wrong that `--repair` puts right."""
    return Sight("wrong", found, f"`scorelake doctor --repair` {advice}", is_repairable=True)


def unknown(found: str, advice: str = "Look again when what is wrong beside it is put right") -> Sight:
    """It could not be looked at."""
    return Sight("unknown", found, advice)


def examine(checks: tuple[Check, ...], scene: Scene, *, is_repairing: bool) -> Iterator[Finding]:
    """Look at everything, and where it is asked for, repair and look again: a repair that did not help is told."""
    for check in checks:
        sight = _look(check, scene)
        if is_repairing and sight.is_repairable and check.repair is not None:
            yield _repair(check, check.repair, scene, sight)
        else:
            yield Finding(check.name, sight.state, sight.found, check.meaning, sight.advice)


def _repair(check: Check, repair: Callable[[Scene], str], scene: Scene, before: Sight) -> Finding:
    try:
        done = repair(scene)
    except (ScorelakeError, duckdb.Error, OSError) as error:
        done = f"the repair failed: {tell(error)}"
    after = _look(check, scene)
    if after.state == "well":
        return Finding(check.name, "repaired", before.found, check.meaning, done)
    return Finding(check.name, after.state, after.found, check.meaning, f"{done}; {after.advice}")


def _look(check: Check, scene: Scene) -> Sight:
    try:
        return check.look(scene)
    except (ScorelakeError, duckdb.Error, OSError) as error:
        return unknown(tell(error))


def tell(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split())[:300]
