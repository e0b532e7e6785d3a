"""The champions at work: loaded, checked and swapped while requests go on, with nobody waiting.

Who is champion is the ledger's to say. A version is loaded beside the one that answers, and takes its place at once or
never: one that fails a check is refused, and the one before goes on.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_repo.compiled import compile_service
from feature_repo.errors import BadData, ScorelakeError
from feature_repo.lake import Lake, read_lake
from scoring.predict import Model, load_model
from scoring.serving.linear import Weights, build_weights
from scoring.serving.problems import RequestRefused
from training.behaviour import build_text_matrix, read_behaviours
from training.model import score_matrix
from training.promotions import read_standing
from training.resolved import resolve_again

if TYPE_CHECKING:
    from scipy import sparse

    from training.model import Floats

_log = logging.getLogger(__name__)

# Beside the texts that a model's behaviour is checked with: it may have none.
_TEXTS: Final = (
    "I love this, thank you!",
    "Worst video ever, I want my time back.",
    "What camera do you use?",
    "CHECK OUT MY CHANNEL http://example.com FREE!!!",
    "ok",
)
_MOST_TEXTS: Final = 200
_SECONDS_BEFORE_RETRY: Final = 60.0
_SECONDS_OF_LOADING: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A version at work, and what its answers rest on.

    Parameters
    ----------
    model_digest
        SHA-256 of the pipeline's file, in hex.
    service_digest
        That of the definition of its feature service.
    weights
        Its pipeline as a table; None if it has to be asked itself.
    """

    name: str
    model: Model
    model_digest: str
    service_digest: str
    weights: Weights | None

    def score(self, matrix: "sparse.csr_matrix") -> "Floats":
        """Probabilities of each class, (rows, classes)."""
        if self.weights is not None:
            return self.weights.score(matrix)
        return score_matrix(self.model.pipeline, matrix, len(self.model.classes))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A champion of the ledger that does not answer, and why; `at` is a monotonic clock's."""

    version: str
    reason: str
    at: float


class Champions:
    """The versions that answer, by model; followed by `poll`, read by requests without a lock."""

    def __init__(self, lake: Lake, models: Sequence[str]) -> None:
        self._lake = lake
        self._models = tuple(models)
        self._polling = Lock()
        self.served: dict[str, Served] = {}
        self.ledger: dict[str, str | None] = {}
        self.refused: dict[str, Refusal] = {}
        self.swaps = dict.fromkeys(models, 0)
        self.refusals = dict.fromkeys(models, 0)

    def find(self, name: str) -> Served:
        """The version of a model that answers.

        Raises
        ------
        RequestRefused
            404 if there is no such model; 503 if it has no champion, or one that is being loaded or was refused.
        """
        if name not in self._models:
            raise RequestRefused(404, f"there is no such model; there are {', '.join(self._models)}")
        if served := self.served.get(name):
            return served
        if refused := self.refused.get(name):
            said = (
                f"version {refused.version} of {name} was refused, and no other is loaded; the service's log says why"
            )
            raise RequestRefused(503, said, retry_after=_SECONDS_BEFORE_RETRY)
        if self.ledger and self.ledger[name] is None:
            raise RequestRefused(503, f"{name} has no champion yet; `scorelake train {name}`", retry_after=60)
        raise RequestRefused(503, f"{name} is being loaded", retry_after=_SECONDS_OF_LOADING)

    def poll(self) -> None:
        """Bring what answers to what the ledger says; a version that was refused is tried again after a minute.

        Raises
        ------
        Unavailable
            If the lake cannot be read; what answers goes on.
        """
        with self._polling:
            with read_lake(self._lake) as connection:
                self.ledger = {name: read_standing(connection, name).champion for name in self._models}
            for name, champion in self.ledger.items():
                if champion is not None and self._is_wanted(name, champion):
                    self._swap(name, champion)

    def _is_wanted(self, name: str, champion: str) -> bool:
        served, refused = self.served.get(name), self.refused.get(name)
        if served is not None and served.model.version == champion:
            self.refused.pop(name, None)
            return False
        is_known = refused is not None and refused.version == champion
        return not (is_known and refused is not None and monotonic() - refused.at < _SECONDS_BEFORE_RETRY)

    def _swap(self, name: str, champion: str) -> None:
        try:
            served = load_served(self._lake, name, champion)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the one before goes on
            reason = str(error) if isinstance(error, ScorelakeError) else f"{type(error).__name__}: {error}"
            before = self.served.get(name)
            self.refused[name] = Refusal(champion, reason, monotonic())
            self.refusals[name] += 1
            _log.error(
                "model=%s version=%s refused serving=%s reason=%s",
                name, champion, before.model.version if before else "none", reason,
            )  # fmt: skip
            return
        self.served[name] = served  # requests see the one or the other
        self.swaps[name] += 1
        self.refused.pop(name, None)
        _log.info("model=%s version=%s served=true table=%s", name, champion, served.weights is not None)


def load_served(lake: Lake, name: str, version: str) -> Served:
    """Load a version and check it: its files, its features, and what it makes of texts written for the purpose.

    Raises
    ------
    BadData
        If a file is not the one that was registered, the feature service is no longer the one it was trained on, or
        its answers are no probabilities, or the same for every text.
    """
    found = resolve_again(lake, name, version)
    said = found.descriptor
    service = compile_service(lake, said["feature_service"])
    if service.digest != said["service_digest"]:
        raise BadData(
            f"{name} version {version} was trained on {said['feature_service']} with digest "
            f"{said['service_digest'][:12]}, and the registry has {service.digest[:12]} now; train anew"
        )
    pipeline = found.path
    model = load_model(version, pipeline=pipeline, descriptor=found.storage.fetch(found.descriptor_file))
    checked = build_text_matrix(_list_texts(name, model.classes), model.matrix)
    check_answers(name, version, score_matrix(model.pipeline, checked, len(model.classes)))
    return Served(
        name=name,
        model=model,
        model_digest=hashlib.sha256(pipeline.read_bytes()).hexdigest(),
        service_digest=service.digest,
        weights=build_weights(model.pipeline, checked, len(model.classes)),
    )


def check_answers(name: str, version: str, answers: "Floats") -> None:
    """Raise `BadData` if answers to texts that differ are no probabilities, or all the same."""
    if not np.isfinite(answers).all() or np.abs(answers.sum(axis=1) - 1).max() > 1e-6 or answers.min() < 0:  # noqa: PLR2004 - rounding
        raise BadData(f"{name} version {version} gives numbers that are no probabilities; roll back, or train anew")
    if np.ptp(answers, axis=0).max() == 0:
        raise BadData(
            f"{name} version {version} says the same of {len(answers)} texts that differ; roll back, or train anew"
        )


def _list_texts(name: str, classes: Sequence[str]) -> list[str]:
    asked = (text for one in read_behaviours(name, classes) for case in one.cases for text in case)
    return list(dict.fromkeys([*_TEXTS, *asked]))[:_MOST_TEXTS]
