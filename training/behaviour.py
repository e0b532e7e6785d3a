"""Behavioural checks: what a model makes of texts written for the purpose, beside what it scores on real ones.

After Ribeiro et al., *Beyond Accuracy: Behavioral Testing of NLP Models with CheckList*, ACL 2020: minimum
functionality (a plain text gets its class), invariance (a change that must not matter) and direction (a change that
must move a probability one way). The texts are data, in `behaviours/<model>.toml`; a model without such a file is
asked nothing. A result is reported and refuses nobody: whether it suffices would be for the gate to say.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from feature_repo.errors import BadData
from feature_repo.features.texts import describe_texts
from training.model import Floats, build_matrix, score_matrix

if TYPE_CHECKING:
    from scipy import sparse
    from sklearn.pipeline import Pipeline

    from training.model import MatrixSpec

Kind = Literal["minimum functionality", "invariance", "direction"]

_FOLDER: Final = Path(__file__).with_name("behaviours")
_SLOT: Final = re.compile(r"\{(\w+)\}")
_EXPECTATION: Final = re.compile(r"label (?:(stays)|is (\w+))|(\w+) (rises|falls)")
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that is expected of a model.

    Parameters
    ----------
    name
        Two or three words: it is the name of a metric.
    expect
        "label is CLASS" of single texts; "label stays", "CLASS rises" or "CLASS falls" (its probability) from the
        first text of a pair to the second.
    cases
        Single texts or pairs, as `expect` has it.
    by
        How far a probability has to move at least.
    """

    name: str
    expect: str
    cases: tuple[tuple[str, ...], ...]
    by: float = 0.0

    @property
    def kind(self) -> Kind:
        """Which of CheckList's three kinds it is."""
        if self.expect == "label stays":
            return "invariance"
        return "minimum functionality" if self.expect.startswith("label is ") else "direction"


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case that was not as expected: its texts, and what the model said of each."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BehaviourResult:
    """How often a model did as expected.

    Parameters
    ----------
    failed
        The first five cases that failed; probabilities are those of the class that `expect` names, or of the label.
    """

    name: str
    kind: Kind
    expect: str
    cases: int
    passed: int
    failed: tuple[FailedCase, ...]

    @property
    def share(self) -> float:
        """Share of the cases that passed, 0 to 1."""
        return self.passed / self.cases


def read_behaviours(model: str, classes: Sequence[str], folder: Path = _FOLDER) -> tuple[Behaviour, ...]:
    """Read what is expected of a model; nothing if nobody wrote it down.

    Raises
    ------
    BadData
        If the file expects what cannot be checked; the message names the behaviour.
    """
    path = folder / f"{model}.toml"
    if not path.exists():
        return ()
    declared = tomllib.loads(path.read_text(encoding="utf-8"))["behaviour"]
    return tuple(_build_behaviour(one, classes, path) for one in declared)


def fill_templates(templates: Sequence[Sequence[str]], words: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Fill the slots of each template with every combination of their words, the same in all texts of a case.

    >>> list(fill_templates([["I {verb} it", "I do not {verb} it"]], {"verb": ["like", "love"]}))
    [('I like it', 'I do not like it'), ('I love it', 'I do not love it')]
    """
    for texts in templates:
        slots = sorted(set(_SLOT.findall(" ".join(texts))))
        for chosen in product(*(words[slot] for slot in slots)):
            filling = dict(zip(slots, chosen, strict=True))
            yield tuple(text.format(**filling) for text in texts)


def check_behaviours(
    behaviours: Sequence[Behaviour], pipeline: "Pipeline", matrix: "MatrixSpec", classes: tuple[str, ...]
) -> tuple[BehaviourResult, ...]:
    """Ask a fitted model for every text, and compare what it says with what is expected."""
    texts = list(dict.fromkeys(text for one in behaviours for case in one.cases for text in case))
    if not texts:
        return ()
    said = dict(zip(texts, score_matrix(pipeline, build_text_matrix(texts, matrix)), strict=True))
    return tuple(judge_behaviour(one, said, classes) for one in behaviours)


def build_text_matrix(texts: Sequence[str], matrix: "MatrixSpec") -> "sparse.csr_matrix":
    """The matrix of single texts, on the road of a batch: the same features, the same cells.

    Of a text alone nothing is known but itself: features of channels and videos are null.
    """
    table = describe_texts(texts)
    for name in matrix.numeric:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), pa.float64()))
    return build_matrix(table, matrix)


def judge_behaviour(behaviour: Behaviour, said: Mapping[str, Floats], classes: tuple[str, ...]) -> BehaviourResult:
    """Compare what a model said of each text, probabilities (classes,), with what is expected."""
    failed = [case for case in behaviour.cases if not _is_met(behaviour, [said[text] for text in case], classes)]
    return BehaviourResult(
        name=behaviour.name,
        kind=behaviour.kind,
        expect=_describe(behaviour),
        cases=len(behaviour.cases),
        passed=len(behaviour.cases) - len(failed),
        failed=tuple(_show_case(behaviour, case, said, classes) for case in failed[:_EXAMPLES]),
    )


def _is_met(behaviour: Behaviour, said: Sequence[Floats], classes: tuple[str, ...]) -> bool:
    labels = {classes[int(one.argmax())] for one in said}
    if behaviour.kind == "invariance":
        return len(labels) == 1
    name = _find_class(behaviour.expect)
    if behaviour.kind == "minimum functionality":
        return labels == {name}
    before, after = (float(one[classes.index(str(name))]) for one in said)
    moved = before - after if behaviour.expect.endswith("falls") else after - before
    return moved > 0 and moved >= behaviour.by


def _show_case(
    behaviour: Behaviour, case: tuple[str, ...], said: Mapping[str, Floats], classes: tuple[str, ...]
) -> FailedCase:
    labels = tuple(classes[int(np.argmax(said[text]))] for text in case)
    name = _find_class(behaviour.expect)
    shown = labels if name is None else (name,) * len(case)
    probabilities = (float(said[text][classes.index(one)]) for text, one in zip(case, shown, strict=True))
    return FailedCase(case, labels, tuple(probabilities))


def _describe(behaviour: Behaviour) -> str:
    return f"{behaviour.expect} by {behaviour.by:g} or more" if behaviour.by else behaviour.expect


def _find_class(expect: str) -> str | None:
    found = _EXPECTATION.fullmatch(expect)
    return (found[2] or found[3]) if found else None


def _build_behaviour(declared: Mapping[str, Any], classes: Sequence[str], path: Path) -> Behaviour:
    name, expect, words = declared["name"], declared["expect"], declared.get("words", {})
    where = f"{path.name}: {name!r}"
    if not _EXPECTATION.fullmatch(expect) or _find_class(expect) not in {None, *classes}:
        raise BadData(
            f"{where} expects {expect!r}; known are 'label stays', 'label is CLASS', 'CLASS rises' and 'CLASS falls', "
            f"with a class of {', '.join(classes)}"
        )
    unknown = sorted({slot for case in declared["cases"] for slot in _SLOT.findall(" ".join(case))} - words.keys())
    if unknown:
        raise BadData(f"{where} has slots without words: {', '.join(unknown)}")
    behaviour = Behaviour(name, expect, tuple(fill_templates(declared["cases"], words)), declared.get("by", 0.0))
    texts = 1 if behaviour.kind == "minimum functionality" else 2
    odd = [case for case in behaviour.cases if len(case) != texts]
    if odd or not behaviour.cases:
        raise BadData(f"{where} needs cases of {texts} texts each; found {[list(case) for case in odd[:2]]}")
    return behaviour
