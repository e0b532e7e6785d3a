"""The judging of a trial: against which champion, what a person says to it, and one decision at a time.

Nothing is locked while models predict or a person thinks. If another version became champion meanwhile, the ledger
does not take the decision, and the trial is judged again, against that one. What the gate asks is in `gate`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from feature_repo.lake import read_lake
from training.cost import measure_cost
from training.dataset import TrainingSet, build_training_set
from training.describe import check_split
from training.gate import Check, Verdict, judge
from training.promotions import ChampionChanged, Promotion, read_standing
from training.reevaluate import predict_version
from training.registry import resolve
from training.trial import Trial, check_same_rows
from training.version import ModelVersion
from training.word_list import predict_word_list

if TYPE_CHECKING:
    from feature_repo.lake import Lake

_logger = logging.getLogger(__name__)

# What a person says to a version, by number, that passed the gate.
Ask = Callable[[str, Verdict], Check]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the version that was champion when it was given; None if there was none."""

    champion: str | None
    verdict: Verdict


def judge_trial(lake: "Lake", trial: Trial) -> Judgement:
    """Judge a trial against the champion there is now or, without one, models that know little.

    Raises
    ------
    BadData
        If the champion may have learned from the judged rows, or is judged on others.
    """
    champion = _find_champion(lake, trial.spec.name)
    judged = trial.training_set.table.take(trial.rows.positions)
    cost = measure_cost(trial.fitted.pipeline, judged, trial.training_set.matrix)
    if champion is None:
        listed = predict_word_list(trial.training_set, trial.spec)
        verdict = judge(trial.rows, trial.probabilities, None, trial.spec.gate, word_list=listed, cost=cost)
        return Judgement(None, verdict)
    check_split(trial.spec, champion)
    known = _read_for(lake, trial, champion.descriptor["feature_service"])
    said = predict_version(champion, known, trial.spec)
    return Judgement(champion.version, judge(trial.rows, trial.probabilities, said, trial.spec.gate, cost=cost))


def settle(
    lake: "Lake",
    trial: Trial,
    judgement: Judgement,
    publish: Callable[[Judgement], Promotion],
    ask: Callable[[Verdict], Check] | None = None,
) -> tuple[Promotion, Verdict]:
    """Publish a judgement, or the one that is in its place once another version has become champion.

    Parameters
    ----------
    publish
        Writes the decision; raises `ChampionChanged` if it is out of date.
    ask
        Asked about a version that passed the gate, before each decision; None for nobody.
    """
    while True:  # each round more means that another decision was taken: someone always gets on
        verdict = judgement.verdict
        if ask is not None and verdict.is_promoted:
            verdict = verdict.add(ask(verdict))
        try:
            return publish(Judgement(judgement.champion, verdict)), verdict
        except ChampionChanged as changed:
            _logger.info("model=%s judged again: %s", trial.spec.name, changed)
            judgement = judge_trial(lake, trial)


def _find_champion(lake: "Lake", model: str) -> ModelVersion | None:
    with read_lake(lake) as connection:
        version = read_standing(connection, model).champion
    return None if version is None else resolve(lake, model, version)


def _read_for(lake: "Lake", trial: Trial, service: str) -> TrainingSet:
    """The trial's rows with the features of the champion's service, which need not be the challenger's."""
    ours = trial.training_set
    if service == ours.service.name:
        return ours
    spec = replace(trial.spec, feature_service=service)
    theirs = build_training_set(lake, spec, data_version=ours.data_version, as_of=ours.as_of)
    check_same_rows(ours, theirs)
    return theirs
