"""What a training run need not do again: a version that was fitted from the same inputs stands for its fit.

If it was judged, by the same bounds, against the champion there is now, there is nothing left to do at all.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from feature_repo.lake import read_lake
from training.describe import read_recipe
from training.digest import digest_json
from training.evaluate import choose_judged_rows
from training.fit import FittedModel
from training.gate import Check, Verdict
from training.inputs import build_inputs
from training.kept_rows import read_probabilities
from training.model import load_pipeline
from training.promotions import read_standing
from training.registry import find_newest
from training.trial import Trial, evaluate_judged
from training.version import ModelVersion, read_kept_rows

if TYPE_CHECKING:
    from feature_repo.lake import Lake
    from training.dataset import TrainingSet
    from training.spec import GateBounds, ModelSpec, Recipe

_SQL: Final = Path(__file__).with_name("last_verdict.sql")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is there already of a run.

    Parameters
    ----------
    why
        Why it is computed or not, in words.
    version
        The newest version fitted from the same inputs; None if there is none.
    verdict
        That of the gate on it, if it holds still.
    """

    why: str
    version: ModelVersion | None = None
    verdict: Verdict | None = None


def find_earlier(lake: "Lake", training_set: "TrainingSet", spec: "ModelSpec", recipe: "Recipe") -> Earlier:
    """Find the newest version that was fitted from the same inputs, and whether it need not be judged again."""
    inputs = build_inputs(training_set, spec, recipe)
    version = _find_intact(lake, spec.name, inputs)
    if version is None or read_kept_rows(version) is None:
        return Earlier(_explain_fit(lake, spec.name, inputs))
    champion, details = _read_verdict(lake, version)
    same = f"version {version.version} was fitted from the same data, features, settings, code and dependencies"
    if details is None or "checks" not in details:
        return Earlier(f"{same}, and not judged against {_name(champion)}", version)
    if details["gate"] != digest_bounds(spec.gate) and version.version != champion:
        return Earlier(f"{same}, and judged by other bounds", version)
    verdict = Verdict(tuple(Check(**check) for check in details["checks"]))
    judged = "is champion" if version.version == champion else f"was judged against {_name(champion)}"
    return Earlier(f"{same}, and {judged}", version, verdict)


def restore_trial(version: ModelVersion, training_set: "TrainingSet", spec: "ModelSpec") -> Trial:
    """The trial that a version came of, from what it keeps: nothing is fitted, and no later rows are judged.

    Raises
    ------
    BadData
        If the version keeps no rows.
    """
    rows, kept = choose_judged_rows(training_set, spec), read_kept_rows(version)
    if kept is None:
        raise BadData(f"{version.model} version {version.version} keeps no rows of its training set; train again")
    probabilities = read_probabilities(kept.column("judged"), len(spec.classes))
    fitted = FittedModel(load_pipeline(version.path), version.descriptor["settings"], ())
    evaluation = evaluate_judged(spec, rows, probabilities)
    return Trial(spec, training_set, read_recipe(version), fitted, rows, probabilities, evaluation)


def describe_verdict(verdict: Verdict, bounds: "GateBounds") -> dict[str, Any]:
    """What a run's row in the ledger says of its verdict, so that a later run can tell whether it holds still."""
    return {"checks": [asdict(check) for check in verdict.checks], "gate": digest_bounds(bounds)}


def digest_bounds(bounds: "GateBounds") -> str:
    """A digest of what the gate asks."""
    return digest_json(asdict(bounds))


def _find_intact(lake: "Lake", model: str, inputs: Mapping[str, str]) -> ModelVersion | None:
    try:
        return find_newest(lake, model, inputs)
    except BadData:  # its files were altered or are lost: it stands for nothing
        return None


def _explain_fit(lake: "Lake", model: str, inputs: Mapping[str, str]) -> str:
    try:
        newest = find_newest(lake, model)
    except BadData:
        return "the files of the newest version were altered or are lost"
    if newest is None:
        return "there is no version yet"
    before = newest.descriptor.get("inputs", {})
    changed = [name for name in inputs if inputs[name] != before.get(name)]
    return f"changed since version {newest.version}: {', '.join(changed)}"


def _read_verdict(lake: "Lake", version: ModelVersion) -> tuple[str | None, dict[str, Any] | None]:
    with read_lake(lake) as connection:
        champion = read_standing(connection, version.model).champion
        bound = {"model": version.model, "version": version.version, "champion": champion}
        row = connection.execute(_SQL.read_text(encoding="utf-8"), bound).fetchone()
    return champion, json.loads(row[0]) if row else None


def _name(champion: str | None) -> str:
    return f"version {champion}, the champion" if champion else "no champion, as there is none"
