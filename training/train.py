"""The steps of training: train a version, evaluate one again.

Each reads, calls the kernels, and records what came of it. The order of flows, retries and messages belong to `flows`;
promotion and rollback by hand are in `promote`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from feature_repo.errors import Unavailable
from feature_repo.lake import run_transaction, write_lake
from feature_repo.ledger import Run, append_run, read_peak_memory_mib
from training.dataset import TrainingSet, build_training_set
from training.describe import build_descriptor, build_record, check_split, read_matrix, read_recipe
from training.gate import Verdict, judge
from training.model import Floats, load_pipeline
from training.promotions import Promotion, append_promotion
from training.provenance import read_provenance
from training.registry import ModelVersion, mirror_aliases, register_version, resolve
from training.stopwatch import Stopwatch
from training.trial import Trial, check_same_rows, evaluate_judged, predict_judged, run_trial

if TYPE_CHECKING:
    import duckdb

    from feature_repo.lake import Lake
    from training.evaluate import Evaluation
    from training.spec import ModelSpec, Recipe


@dataclass(frozen=True, slots=True)
class TrainReceipt:
    """What came of a training run.

    Parameters
    ----------
    rows, judged_rows
        Labelled comments, and those that the evaluation is on.
    stage_seconds
        read, fit (tuning and evaluation included), judge, register and publish.
    champion_before, champion_after
        Version numbers; the same if the gate refused.
    """

    run_id: str
    model: str
    version: str
    data_version: int
    digest: str
    rows: int
    judged_rows: int
    evaluation: "Evaluation"
    verdict: Verdict
    stage_seconds: Mapping[str, float]
    champion_before: str | None
    champion_after: str | None


@dataclass(frozen=True, slots=True)
class EvaluateReceipt:
    """What a registered version is worth on the rows that are held out now."""

    run_id: str
    model: str
    version: str
    data_version: int
    evaluation: "Evaluation"
    stage_seconds: Mapping[str, float]


def train_model(
    lake: "Lake",
    spec: "ModelSpec",
    *,
    run_id: str,
    now: datetime,
    data_version: int,
    candidate: Mapping[str, Any] | None = None,
) -> TrainReceipt:
    """Train a version, register it, and make it champion if the gate lets it.

    Parameters
    ----------
    now
        Start of the run (aware); labels given later do not count.
    data_version
        Rows with a greater ingest_seq do not count.
    candidate
        Changes to the spec's recipe, such as {"C": 0.0001} or {"label_shuffle_seed": 1}.

    Raises
    ------
    BadData
        If the labels do not suffice to train.
    Unavailable
        If features are missing, or another run changed the champion meanwhile.
    """
    watch = Stopwatch()
    recipe = spec.recipe.change(candidate or {})
    with watch.time("read"):
        training_set = build_training_set(lake, spec, data_version=data_version, as_of=now)
    with watch.time("fit"):
        trial = run_trial(training_set, spec, recipe)
    champion = _find_champion(lake, spec.name)
    with watch.time("judge"):
        verdict = _judge(lake, spec, training_set, trial, champion)
    with watch.time("register"):
        version = _register(lake, spec, training_set, trial, verdict, recipe=recipe, run_id=run_id, watch=watch)
    promotion = _decide(version, verdict, champion, run_id=run_id, decided_at=watch.end(now))
    _publish(lake, promotion, _describe_run(training_set, trial, promotion, started_at=now, watch=watch))
    mirror_aliases(lake, spec.name)
    return _write_receipt(training_set, trial, verdict, promotion, watch)
