"""The flow that rebuilds a model version from its data and says whether it is the same."""

from datetime import datetime
from string import hexdigits
from typing import Final

from feature_repo.errors import Refused
from flows.report import Grid, Report
from flows.stage import begin_run, run_step, stage, tell
from training.recorded import Comparison
from training.reproduce import ReproduceReceipt, reproduce_version
from training.spec import read_spec

_SHOWN_IDS: Final = 5
_SHOWN_CHARS: Final = 24  # of a digest


class NotReproduced(Refused):
    """A version is not what comes of its data and settings now; what differs is named."""

    is_recorded = True

    def __init__(self, receipt: ReproduceReceipt) -> None:
        self.receipt = receipt
        names = ", ".join(receipt.differing[:5])
        super().__init__(
            f"{receipt.model} version {receipt.version} is not reproduced: {len(receipt.differing)} things differ from "
            f"what was recorded: {names}. The version itself stays as it is"
        )


@stage("reproduce", named="reproduce-{model}", seconds=None)
def reproduce(
    model: str, version: str = "champion", *, is_quick: bool = False, now: datetime | None = None
) -> ReproduceReceipt:
    """Rebuild a version's training set as of its data version, fit it again, and compare all with what was recorded.

    Args:
        model: Name of the model: sentiment or spam.
        version: Version number, champion or previous.
        is_quick: Fits nothing: compares the data, and what the registered file says of them.
        now: Instant of the run, for the ledger; the clock if not given.

    Raises
    ------
    NotReproduced
        If rows are gone or anything that came of the fit is not the same, to the last bit.
    """
    with begin_run("reproduce", model, now) as entry:
        spec = read_spec(model)
        receipt = run_step(
            entry,
            lambda: reproduce_version(entry.lake, spec, version, run_id=entry.run_id, now=entry.now, is_quick=is_quick),
        )
        tell(entry, build_report(receipt))
        if receipt.differing:
            raise NotReproduced(receipt)
        return receipt


def build_report(receipt: ReproduceReceipt) -> Report:
    """Build the report of a reproduction: the verdict, what was recorded beside what is now, and the rows gone."""
    differing = len(receipt.differing)
    verdict = f"{differing} things DIFFER" if differing else "identical"
    facts = {
        "data version": receipt.data_version,
        "rows then and now": f"{receipt.rows.kept:,} and {receipt.rows.found:,}",
        "fitted again": "no, as asked" if receipt.is_quick else "yes, the search for settings included",
        "seconds": sum(receipt.stage_seconds.values()),
    }
    grids = (_build_grid(receipt, is_outcome=True), _build_grid(receipt, is_outcome=False), *_build_rows(receipt))
    return Report(f"{receipt.model} version {receipt.version}: {verdict}", facts, grids, receipt.notes)


def _build_grid(receipt: ReproduceReceipt, *, is_outcome: bool) -> Grid:
    def row(one: Comparison) -> tuple[object, ...]:
        return one.name, _shorten(one.recorded), _shorten(one.now), "yes" if one.is_same else "NO"

    rows = tuple(row(one) for one in receipt.comparisons if one.is_outcome == is_outcome)
    title = "what has to be the same" if is_outcome else "what it was made with"
    return Grid(("", "recorded", "now", "same"), rows, title)


def _build_rows(receipt: ReproduceReceipt) -> tuple[Grid, ...]:
    changes = receipt.rows.changes
    rows = tuple((why, len(ids), ", ".join(ids[:_SHOWN_IDS])) for why, ids in changes.items())
    if receipt.rows.erased:
        rows = (("erased on request", receipt.rows.erased, "nobody knows any more which"), *rows)
    return (Grid(("rows that are gone or changed", "rows", "such as"), rows),) if rows else ()


def _shorten(text: str) -> str:
    is_digest = len(text) > _SHOWN_CHARS and set(text) <= set(hexdigits)
    return f"{text[:_SHOWN_CHARS]}…" if is_digest else text
