"""Rebuild a version: its training set as of then, its fit, its figures; and name whatever is not the same.

What a version kept of itself is in `describe` and `kept_rows`. Data that were erased or have expired are not brought
back: erasure outranks reproduction, and the rows that are gone are listed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from feature_repo.errors import BadData
from feature_repo.lake import run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from feature_repo.retrieval import ServiceDefinition, describe_service
from training.dataset import LabelledRows, read_labelled_rows, split_table
from training.describe import build_descriptor, read_matrix, read_recipe
from training.digest import digest_floats, digest_json
from training.inputs import build_settings, restore_settings
from training.kept_rows import RowChanges, compare_rows, find_unchanged, mark_rows, read_probabilities
from training.model import build_matrix, load_pipeline, score_matrix
from training.provenance import digest_code, read_environment, read_provenance
from training.recorded import (
    Comparison,
    compare_circumstances,
    compare_outcomes,
    name_definition_changes,
    name_setting_changes,
)
from training.registry import resolve
from training.stopwatch import Stopwatch
from training.trial import run_trial
from training.version import ModelVersion, read_kept_rows

if TYPE_CHECKING:
    from feature_repo.lake import Lake
    from training.spec import ModelSpec
    from training.trial import Trial


@dataclass(frozen=True, slots=True)
class ReproduceReceipt:
    """What came of rebuilding a version.

    Parameters
    ----------
    rows
        What became of its rows.
    comparisons
        Outcomes first: digests, settings chosen, metrics. Then circumstances: lock file, commit, definitions, …
    notes
        What differs, in words.
    """

    run_id: str
    model: str
    version: str
    data_version: int
    is_quick: bool
    rows: RowChanges
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    stage_seconds: Mapping[str, float]

    @property
    def differing(self) -> tuple[str, ...]:
        """What is not as it was recorded and should be."""
        named = tuple(one.name for one in self.comparisons if one.is_outcome and not one.is_same)
        erased = ("rows: erased",) if self.rows.erased else ()
        return (*erased, *(f"rows: {why}" for why in self.rows.changes), *named)


def reproduce_version(
    lake: "Lake", spec: "ModelSpec", version: str, *, run_id: str, now: datetime, is_quick: bool = False
) -> ReproduceReceipt:
    """Rebuild the training set of a version, fit it again and compare both with what was recorded.

    Parameters
    ----------
    spec
        As it is today; what the version recorded of its own is put back into it.
    version
        Number or alias; resolved once.
    is_quick
        Fits nothing: compares the data, and what the registered file says of them.

    Raises
    ------
    BadData
        If there is no such version, or a file of it was altered.
    """
    watch = Stopwatch()
    with watch.time("read"):
        found = resolve(lake, spec.name, version)
        recorded = found.descriptor
        restored = restore_settings(spec, recorded.get("spec", recorded["split"]))
        rows = _read_rows(lake, restored, found)
    with watch.time("compare"):
        changes, comparisons = _compare_rows(lake, found, rows)
        circumstances, notes = _compare_circumstances(lake, found, spec)
    if not is_quick:
        with watch.time("fit"):
            refitted, said = _refit(found, restored, rows)
        comparisons, notes = [*comparisons, *refitted], [*notes, *said]
    receipt = ReproduceReceipt(
        run_id=run_id,
        model=spec.name,
        version=found.version,
        data_version=recorded["data_version"],
        is_quick=is_quick,
        rows=changes,
        comparisons=(*comparisons, *circumstances),
        notes=tuple(notes),
        stage_seconds=dict(watch.seconds),
    )
    _record(lake, receipt, started_at=now, ended_at=watch.advance(now))
    return receipt


def _read_rows(lake: "Lake", spec: "ModelSpec", version: ModelVersion) -> LabelledRows:
    recorded = version.descriptor
    service = ServiceDefinition.from_json(recorded["service_definition"])
    as_of = datetime.fromisoformat(recorded["as_of"])
    return read_labelled_rows(lake, spec, service, data_version=recorded["data_version"], as_of=as_of)


def _compare_rows(lake: "Lake", version: ModelVersion, rows: LabelledRows) -> tuple[RowChanges, list[Comparison]]:
    """What became of the rows, and whether the registered file says the same of those that are as they were."""
    recorded, kept = version.descriptor, read_kept_rows(version)
    comparisons = [
        Comparison("rows", str(recorded["rows"]), str(len(rows.table))),
        Comparison("digest of the data", recorded["digest"], rows.digest),
    ]
    if kept is None:
        gone = {"text expired": rows.expired_ids} if rows.expired_ids else {}
        return RowChanges(recorded["rows"], len(rows.table), gone), comparisons
    marked = mark_rows(rows.table)
    labels = (version.model, recorded["data_version"])
    changes = compare_rows(lake, kept, marked, expired_ids=rows.expired_ids, labels=labels)
    changes = replace(changes, kept=recorded["rows"], erased=recorded["rows"] - len(kept))
    then, now = find_unchanged(kept, marked)
    classes = len(recorded["classes"])
    said_then = read_probabilities(then.column("said"), classes)
    said_now = score_matrix(load_pipeline(version.path), build_matrix(now, read_matrix(version)), classes)
    title = f"what the registered file says of {len(now):,} unchanged rows"
    return changes, [*comparisons, Comparison(title, digest_floats(said_then), digest_floats(said_now))]


def _compare_circumstances(
    lake: "Lake", version: ModelVersion, spec: "ModelSpec"
) -> tuple[list[Comparison], list[str]]:
    recorded, settings, service = version.descriptor, build_settings(spec), _find_service(lake, version)
    now = {
        "service": service.digest if service else "none",
        "spec": digest_json(settings),
        "code": digest_code(),
        "lock": read_provenance()["lock_sha256"],
        **read_environment(),
        **read_provenance(),
    }
    notes = name_definition_changes(recorded["service_definition"], service.definition if service else None)
    return compare_circumstances(recorded, now), [*notes, *name_setting_changes(recorded.get("spec", {}), settings)]


def _find_service(lake: "Lake", version: ModelVersion) -> ServiceDefinition | None:
    try:
        return describe_service(lake, version.descriptor["feature_service"])
    except BadData:
        return None


def _refit(version: ModelVersion, spec: "ModelSpec", rows: LabelledRows) -> tuple[list[Comparison], list[str]]:
    """Go through the whole trial again, search included, and compare what came of it."""
    recorded = version.descriptor
    as_of = datetime.fromisoformat(recorded["as_of"])
    try:
        known = split_table(rows.table, spec, rows.service, data_version=recorded["data_version"], as_of=as_of)
    except BadData as error:
        return [], [f"not fitted again: {error}"]
    trial = run_trial(replace(known, matrix=read_matrix(version)), spec, read_recipe(version))
    comparisons = compare_outcomes(recorded, build_descriptor(trial, run_id=recorded["run_id"]))
    return comparisons, _measure_differences(version, trial)


def _measure_differences(version: ModelVersion, trial: "Trial") -> list[str]:
    """Say by how much probabilities differ, if they do."""
    kept = read_kept_rows(version)
    if kept is None:
        return []
    judged = kept.filter(pc.is_valid(kept.column("judged")))
    rows = read_probabilities(judged.column("judged"), trial.probabilities.shape[1])
    then = dict(zip(judged.column("comment_id").to_pylist(), rows, strict=True))
    names = trial.training_set.table.column("comment_id").take(trial.rows.positions).to_pylist()
    now = zip(names, trial.probabilities, strict=True)
    gaps = [float(np.abs(then[name] - row).max()) for name, row in now if name in then]
    count = sum(gap > 0 for gap in gaps)
    if not count:
        return []
    return [f"{count:,} of {len(gaps):,} judged rows have other probabilities, by up to {max(gaps):.2g}"]


def _record(lake: "Lake", receipt: ReproduceReceipt, *, started_at: datetime, ended_at: datetime) -> None:
    run = Run(
        receipt.run_id,
        "reproduce",
        started_at,
        ended_at,
        outcome="refused" if receipt.differing else "done",
        model=receipt.model,
        model_version=receipt.version,
        rows_owed=receipt.rows.kept,
        data_version=receipt.data_version,
        stage_seconds=receipt.stage_seconds,
        details={
            "is_quick": receipt.is_quick,
            "differing": list(receipt.differing),
            "rows": {why: len(ids) for why, ids in receipt.rows.changes.items()},
            "rows_erased": receipt.rows.erased,
            "comparisons": [asdict(one) for one in receipt.comparisons],
        },
    )
    with write_lake(lake, purpose=f"record how {receipt.model} was reproduced") as connection:
        run_transaction(connection, lambda inside: append_run(inside, run))
