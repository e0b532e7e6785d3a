"""What `scorelake compare` does: two versions on the same comments, told, drawn and kept as a run's artifact."""

from datetime import datetime

from flows.pages import find_report_pages
from flows.report import Grid, Report
from flows.stage import begin_run, run_step, stage, tell
from scoring.compare import Comparison, SliceComparison, compare_versions
from scoring.compare_plot import draw_comparison
from training.card import show_estimate
from training.registry import resolve
from training.spec import read_spec


@stage("compare", named="compare-{model}", seconds=None)
def compare(
    model: str,
    version: str = "challenger",
    against: str = "champion",
    since: datetime | None = None,
    now: datetime | None = None,
) -> Comparison:
    """Compare two versions on the comments that both have scored; the picture is kept under reports/.

    Args:
        model: Name of the model: sentiment or spam.
        version: Number of a version, or challenger or previous.
        against: The same of the version it is compared with.
        since: Only comments written since then.
        now: Instant of the run; the clock if not given.
    """
    with begin_run("compare", model, now) as entry:
        spec = read_spec(model)
        ours, theirs = (resolve(entry.lake, model, wanted) for wanted in (version, against))
        found = run_step(entry, lambda: compare_versions(entry.lake, spec, ours, theirs, since=since))
        picture = entry.lake.home / "reports" / f"{entry.run_id}.png"
        draw_comparison(found, picture)
        tell(entry, build_report(found), find_report_pages(entry.lake.home, {"the picture": picture}, picture))
        return found


def build_report(found: Comparison) -> Report:
    """Build the report of a comparison: how often, on what, and who is right."""
    overall = found.overall
    facts: dict[str, object] = {
        "comments that both have scored": overall.rows,
        "mean confidence": f"{overall.our_confidence:.3f} beside {overall.their_confidence:.3f}",
        "share abstained": f"{found.our_abstained:.3f} beside {found.their_abstained:.3f}",
    }
    notes: tuple[str, ...] = ("no label has come since both were trained: who is right is not known",)
    if found.judged:
        judged, notes = found.judged, ()
        facts |= {
            "labels that came after both were trained": judged.rows,
            "accuracy": f"{judged.our_accuracy:.3f} beside {judged.their_accuracy:.3f}, a gain of "
            + show_estimate(judged.accuracy_gain),
            "macro-F1": f"{judged.our_macro_f1:.3f} beside {judged.their_macro_f1:.3f}, a gain of "
            + show_estimate(judged.macro_f1_gain),
        }
    labels = Grid((f"version {found.ours} says", f"version {found.theirs} says", "comments"), found.labels)
    slices = Grid(
        ("comments", "rows", "labels differ", "mean confidence", "beside"),
        tuple(_list_cells(one) for one in (overall, *found.slices)),
    )
    title = (
        f"{found.model}: version {found.ours} says otherwise than {found.theirs} on {overall.disagreement.value:.1%}"
    )
    return Report(title, facts, (slices, labels), notes=notes)


def _list_cells(one: SliceComparison) -> tuple[object, ...]:
    return one.name, one.rows, show_estimate(one.disagreement), one.our_confidence, one.their_confidence
