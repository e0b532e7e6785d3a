"""What `scorelake explain` shows: a score, what moved it, and what it rests on."""

from collections.abc import Iterator

from flows.owed import check_model
from flows.report import Grid, Report
from flows.settings import read_settings
from scoring.explain import Explanation, explain_score

_SHOWN = 15


def explain(comment_id: str, model: str) -> Explanation:
    """Explain the score of a comment that is in force."""
    check_model(model)
    return explain_score(read_settings().lake, comment_id, model)


def build_report(found: Explanation) -> Report:
    """Build the report of an explanation: the score, the parts that moved it most, the lineage."""
    facts = {
        "label": found.label,
        **{f"probability of {name}": round(value, 4) for name, value in found.probabilities.items()},
        "text": found.text or "expired: the words behind the score are gone",
    }
    parts = Grid(
        ("what", "kind", "log-odds", ""),
        tuple((part.name, part.kind, f"{part.weight:+.3f}", _draw(part.weight)) for part in found.parts[:_SHOWN]),
        title=f"what speaks for {found.label} (+) and against it (-); {found.base:+.3f} of nothing known",
    )
    lineage = Grid(("it rests on", ""), tuple((name, str(value)) for name, value in found.lineage.items()))
    features = Grid(("feature as it was", "value"), tuple(found.features.items()))
    return Report(
        f"{found.model}: why {found.comment_id} is {found.label}",
        facts,
        (parts, features, lineage) if found.parts else (features, lineage),
        notes=tuple(_list_notes(found)),
    )


def _list_notes(found: Explanation) -> Iterator[str]:
    if len(found.parts) > _SHOWN:
        rest = sum(part.weight for part in found.parts[_SHOWN:])
        yield f"{len(found.parts) - _SHOWN} more parts add up to {rest:+.3f}; --json has them all"
    if found.parts and not found.is_reproduced:
        yield "from the features as they are found now, the version gives other probabilities: run `scorelake skew`"


def _draw(weight: float) -> str:
    return ("+" if weight > 0 else "-") * min(20, round(abs(weight) * 10))
