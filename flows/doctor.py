"""The doctor: everything that can be wrong around the runs is looked at and, on request, put right."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from feature_repo.errors import Refused
from flows.checkup import Check, Finding, Scene, examine
from flows.lake_checks import LAKE_CHECKS
from flows.model_checks import MODEL_CHECKS
from flows.report import Grid, Report
from flows.server import find_api, set_environment
from flows.settings import read_settings


@dataclass(frozen=True, slots=True)
class DoctorReceipt:
    """What was found, in the order in which it was looked at."""

    home: str
    api: str | None
    findings: tuple[Finding, ...]


class SomethingWrong(Refused):
    """Something is wrong and was left so."""

    def __init__(self, receipt: DoctorReceipt) -> None:
        self.receipt = receipt
        names = ", ".join(one.check for one in receipt.findings if one.state == "wrong")
        super().__init__(f"something is wrong and left so: {names}. What to do stands beside each")


def doctor(*, is_repairing: bool = False, now: datetime | None = None) -> DoctorReceipt:
    """Look at everything; nothing is changed unless repairing.

    Parameters
    ----------
    now
        Instant of the examination; the clock if not given.

    Raises
    ------
    SomethingWrong
        If something is wrong, and was not, or could not be, repaired. Its receipt says what.
    """
    settings = read_settings()
    os.environ["SCORELAKE_HOME"] = str(settings.home)
    set_environment(settings.home, settings.prefect_address)
    scene = Scene(settings, now or datetime.now(UTC), find_api(settings.home))
    findings = (
        *examine((*LAKE_CHECKS, *MODEL_CHECKS), scene, is_repairing=is_repairing),
        *_examine_prefect(scene, is_repairing),
    )
    receipt = DoctorReceipt(str(settings.home), scene.api, findings)
    if any(one.state == "wrong" for one in findings):
        raise SomethingWrong(receipt)
    return receipt


def _examine_prefect(scene: Scene, is_repairing: bool) -> Iterator[Finding]:  # noqa: FBT001 - as above
    if scene.api is None:
        yield Finding(
            "server",
            "unknown",
            "no Prefect server runs on this home, and PREFECT_API_URL is not set",
            "Runs, slots and schedules are Prefect's.",
            "Look again while `scorelake up` runs",
        )
        return
    from flows.prefect_checks import PREFECT_CHECKS  # noqa: PLC0415 - Prefect takes seconds

    server, *others = PREFECT_CHECKS
    (first,) = examine((server,), scene, is_repairing=is_repairing)
    yield first
    if first.state != "wrong":
        yield from examine(tuple[Check, ...](others), scene, is_repairing=is_repairing)


def build_report(receipt: DoctorReceipt) -> Report:
    """Build the report: what was found, and of what is not well why it matters and what to do, or was done."""
    rows = tuple((one.check, one.state, one.found) for one in receipt.findings)
    notes = [
        f"{one.check}: {one.meaning} {'Done' if one.state == 'repaired' else 'To do'}: {one.advice}."
        for one in receipt.findings
        if one.state != "well"
    ]
    counts = Counter(one.state for one in receipt.findings)
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    facts = {"home": receipt.home, "Prefect": receipt.api}
    return Report(f"Doctor: {said}", facts, (Grid(("check", "", "found"), rows),), tuple(notes))
