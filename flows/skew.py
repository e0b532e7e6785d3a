"""The flow that compares features as they were used with the same features found again."""

from datetime import datetime

from feature_repo.errors import Refused
from flows.alerts import raise_alert, resolve_alert
from flows.report import Grid, Report
from flows.stage import begin_run, prepare_lake, run_step, stage, tell
from scoring.skew import SkewReceipt, check_skew

_SHOWN = 20


class SkewFound(Refused):
    """Features are not the same however they are found: what a model is served is not what it was judged on."""

    def __init__(self, receipt: SkewReceipt) -> None:
        self.receipt = receipt
        names = ", ".join(f"{check.feature} ({check.path})" for check in receipt.differing[:5])
        super().__init__(
            f"{receipt.model}: {len(receipt.differing)} of {len(receipt.checks)} features differ from those that were "
            f"used: {names}. See monitoring.skew for examples"
        )


@stage("skew", named="skew-{model}")
def skew(model: str, rows: int = 200, now: datetime | None = None) -> SkewReceipt:
    """Check that features are the same however they are found: in the lake, from the text, in the online store.

    Args:
        model: Name of the model: sentiment or spam.
        rows: Logged rows of the newest scoring runs that are looked at.
        now: Instant of the run; the clock if not given.

    Raises
    ------
    SkewFound
        If any value differs; what differs is in `monitoring.skew`.
    """
    with begin_run("skew", model, now) as entry:
        prepare_lake(entry.lake)
        receipt = run_step(entry, lambda: check_skew(entry.lake, model, run_id=entry.run_id, now=entry.now, rows=rows))
        tell(entry, build_report(receipt))
        if not receipt.differing:
            resolve_alert(entry, f"skew/{model}")
            return receipt
        found = SkewFound(receipt)
        said = f"{found}\nWhat the model is served is not what it was judged on: find out what changed the features."
        raise_alert(entry, f"skew/{model}", severity="error", subject="skew found", message=said)
    raise found  # the run itself has ended well


def build_report(receipt: SkewReceipt) -> Report:
    """Build the report of a skew check: the verdict, the ways, and what differs."""
    verdict = f"{len(receipt.differing)} checks DIFFER" if receipt.differing else "all values agree"
    ways = Grid(("found again", "features", "values compared", "values that differ"), tuple(_sum_up(receipt)))
    rows = tuple(
        (check.path, check.feature, check.rows_differing, check.rows_compared, str(check.example))
        for check in receipt.differing[:_SHOWN]
    )
    differing = (Grid(("found again", "feature", "differ", "of", "example"), rows),) if rows else ()
    return Report(f"{receipt.model}: {verdict}", {"logged rows": receipt.rows}, (ways, *differing))


def _sum_up(receipt: SkewReceipt) -> list[tuple[str, int, int, int]]:
    paths = dict.fromkeys(check.path for check in receipt.checks)
    of = {path: [check for check in receipt.checks if check.path == path] for path in paths}
    return [
        (path, len(some), sum(one.rows_compared for one in some), sum(one.rows_differing for one in some))
        for path, some in of.items()
    ]
