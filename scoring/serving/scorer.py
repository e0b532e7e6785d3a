"""From texts to answers: the features of the batch, the champion's table, and the words that moved a label.

Requests that wait are answered together: what a few texts cost is mostly what any text costs, and nobody waits for
others to come.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from feature_repo.features.text_stream import TextStream
from feature_repo.features.texts import name_pieces
from scoring.serving.payloads import MOST_TEXTS, TextToScore
from scoring.serving.problems import RequestRefused
from scoring.serving.remembered import Remembered, build_key
from training.contributions import compute_contributions
from training.model import build_matrix

if TYPE_CHECKING:
    from scipy import sparse

    from feature_repo.online import OnlineState
    from scoring.serving.champion import Champions, Served
    from scoring.serving.context import Held, OnlineContext
    from scoring.serving.remembered import Answer
    from training.model import Floats

# So many texts may wait; more would be answered when nobody waits for them any more.
_MOST_WAITING: Final = 20 * MOST_TEXTS


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Answers to the texts of a request, and what they rest on."""

    served: "Served"
    state: "OnlineState | None"
    results: "list[Answer | None]"


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    model: str
    texts: Sequence[TextToScore]
    top_words: int
    answer: "Future[Scored]" = field(default_factory=Future)


class Scorer:
    """Threads that score what waits; each has a stream of text features."""

    def __init__(self, champions: "Champions", context: "OnlineContext", threads: int) -> None:
        self._champions = champions
        self._context = context
        self._waiting: deque[_Asked] = deque()
        self._texts_waiting = 0
        self._changed = Condition()
        self._is_closing = False
        self._remembered = Remembered()
        self.texts_scored = 0
        self.texts_remembered = 0
        self._threads = [Thread(target=self._work, name=f"scorer-{place}") for place in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, model: str, texts: Sequence[TextToScore], top_words: int) -> "Future[Scored]":
        """Have texts scored. A future that is cancelled while it waits costs nothing.

        Raises
        ------
        RequestRefused
            404 if there is no such model, 503 if no version of it answers, too much waits, or the service stops.
        """
        self._champions.find(model)
        asked = _Asked(model, texts, top_words)
        with self._changed:
            if self._is_closing:
                raise RequestRefused(503, "the service is stopping", retry_after=10)
            if self._texts_waiting + len(texts) > _MOST_WAITING:
                raise RequestRefused(503, f"{self._texts_waiting:,} texts are waiting already", retry_after=1)
            self._waiting.append(asked)
            self._texts_waiting += len(texts)
            self._changed.notify()
        return asked.answer

    def close(self) -> None:
        """Score what waits, and end the threads."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with closing(TextStream()) as stream:
            while group := self._take():
                live = [asked for asked in group if asked.answer.set_running_or_notify_cancel()]
                if not live:
                    continue
                try:
                    for asked, scored in zip(live, self._score(stream, live), strict=True):
                        asked.answer.set_result(scored)
                except Exception as error:  # noqa: BLE001 - whoever asked is told
                    self._tell(stream, live, error)

    def _take(self) -> list[_Asked]:
        """The requests that wait longest for one model, up to as many texts as one may bring; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            group: list[_Asked] = []
            texts = 0
            while self._waiting and (not group or self._fits(group[0], texts)):
                group.append(self._waiting.popleft())
                texts += len(group[-1].texts)
            self._texts_waiting -= texts
            return group

    def _fits(self, first: _Asked, texts: int) -> bool:
        following = self._waiting[0]
        return following.model == first.model and texts + len(following.texts) <= MOST_TEXTS

    def _tell(self, stream: TextStream, group: Sequence[_Asked], error: Exception) -> None:
        """Score each request by itself where together they failed: one at fault takes no other with it."""
        for asked in group:
            if asked.answer.done():
                continue
            if len(group) == 1:
                asked.answer.set_exception(error)
                continue
            try:
                [scored] = self._score(stream, [asked])
                asked.answer.set_result(scored)
            except Exception as own:  # noqa: BLE001 - whoever asked is told
                asked.answer.set_exception(own)

    def _score(self, stream: TextStream, group: Sequence[_Asked]) -> list[Scored]:
        # One version and one filling for all of it, whatever is swapped meanwhile.
        served, held = self._champions.served[group[0].model], self._context.hold()
        texts = [(text, asked.top_words) for asked in group for text in asked.texts]
        keys = [build_key(*one) for one in texts]
        results = self._remembered.find(served, held.state, keys)
        lacking = [place for place, result in enumerate(results) if result is None]
        if lacking:
            given = self._score_anew(stream, served, held, [texts[place] for place in lacking])
            self._remembered.keep(served, held.state, [keys[place] for place in lacking], given)
            for place, result in zip(lacking, given, strict=True):
                results[place] = result
        self.texts_scored += len(texts)
        self.texts_remembered += len(texts) - len(lacking)
        ends = np.cumsum([len(asked.texts) for asked in group]).tolist()
        return [
            Scored(served, held.state, results[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]

    def _score_anew(
        self, stream: TextStream, served: "Served", held: "Held", wanted: Sequence[tuple[TextToScore, int]]
    ) -> list[dict[str, Any]]:
        texts = [text for text, _ in wanted]
        tops = [top for _, top in wanted]
        keys = [{"channel_id": one.channel_id, "video_id": one.video_id} for one in texts]
        known = self._context.read(held, served.model.feature_service, keys)
        described = stream.describe([one.text for one in texts])
        spec = served.model.matrix
        matrix = build_matrix(add_known(described, texts, known, spec.numeric), spec)
        results = build_results(served, served.score(matrix))
        if any(tops):
            add_words(served, described, matrix, results, wanted=tops)
        return results


def add_known(
    described: pa.Table, texts: Sequence[TextToScore], known: Sequence[Mapping[str, Any]], wanted: Sequence[str]
) -> pa.Table:
    """The features of texts with what was told of each, and what is known of its channel and video; else nulls."""
    told = {
        "is_reply": pa.array([one.is_reply for one in texts], pa.bool_()),
        "first_like_count": pa.array([one.like_count for one in texts], pa.int64()),
        "earlier_reply_count_30d": pa.array(
            [one.earlier_reply_count_30d if one.is_reply else 0 for one in texts], pa.int64()
        ),
    }
    columns = {name: described.column(name) for name in described.column_names}
    for name in wanted:
        if name not in columns:
            columns[name] = told[name] if name in told else pa.array([row.get(name) for row in known], pa.float64())
    return pa.table(columns)


def build_results(served: "Served", probabilities: "Floats") -> list[dict[str, Any]]:
    """An answer per row: the label is the most probable class; ties go to the one that the model lists first."""
    classes, bound = served.model.classes, served.model.abstain_below
    best = probabilities.argmax(axis=1).tolist()
    return [
        {
            "label": classes[place],
            "confidence": row[place],
            "is_abstained": row[place] < bound,
            "probabilities": dict(zip(classes, row, strict=True)),
            "words": [],
        }
        for place, row in zip(best, probabilities.tolist(), strict=True)
    ]


def add_words(
    served: "Served",
    described: pa.Table,
    matrix: "sparse.csr_matrix",
    results: list[dict[str, Any]],
    *,
    wanted: Sequence[int],
) -> None:
    """Add to each answer what moved its label most, by name, as many as are wanted."""
    spec = served.model.matrix
    split = described.column("tokens").to_pylist()
    tokens = {name: described.column(name).to_pylist() for name in spec.token_columns}
    for row, (result, words, top) in enumerate(zip(results, split, wanted, strict=True)):
        if not top:
            continue
        columns, weights = _weigh(served, matrix, row, served.model.classes.index(result["label"]))
        order = np.argsort(-np.abs(weights), kind="stable")[:top]
        named: dict[int, dict[str, str]] = {column: {} for column in columns[order].tolist()}
        pieces = name_pieces(words)
        for source in spec.token_columns:
            for token, (piece, kind) in zip(tokens[source][row], pieces[source], strict=True):
                if token in named:
                    named[token].setdefault(piece, kind)
        for (column, found), weight in zip(named.items(), weights[order].tolist(), strict=True):
            name = " / ".join(found) or spec.numbers[column - spec.token_dimension]
            result["words"].append({"name": name, "kind": next(iter(found.values()), "feature"), "weight": weight})


def _weigh(served: "Served", matrix: "sparse.csr_matrix", row: int, label: int) -> tuple[Any, "Floats"]:
    """The cells of a row, and what each adds to the log-odds of a class."""
    if served.weights is None:
        apart = compute_contributions(served.model.pipeline, matrix[row])
        return apart.columns, apart.parts[:, label]
    start, end = matrix.indptr[row], matrix.indptr[row + 1]
    columns = matrix.indices[start:end]
    return columns, served.weights.table[columns, label] * matrix.data[start:end]
