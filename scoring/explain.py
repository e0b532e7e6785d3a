"""Why a comment has the score it has: the words and features that moved it, and everything it rests on.

The score in force is found, its features are read as they were, and the version that gave it decides again. How a
decision is taken apart is in `contributions`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_repo.errors import BadData
from feature_repo.features.texts import list_pieces
from feature_repo.lake import Lake, quote_name, quote_text, read_lake
from feature_repo.retrieval import ServiceDefinition, build_spine, read_features
from training.contributions import compute_contributions
from training.model import MatrixSpec, build_matrix, load_pipeline, score_matrix
from training.registry import resolve

if TYPE_CHECKING:
    import pyarrow as pa

_LINEAGE: Final = Path(__file__).with_name("explain.sql").read_text(encoding="utf-8")
_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Part:
    """What moved a score: a word, a pair of words, the beginning of a word, or a feature; in log-odds of the label."""

    name: str
    kind: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A score in force, what moved it, and what it rests on.

    Parameters
    ----------
    parts
        The greatest first, by what they add to or take from the log-odds of the label; none if the text has expired.
    base
        Log-odds of the label for a comment of which nothing is known.
    is_reproduced
        Whether the version gives the stored probabilities again from the features as they were.
    lineage
        Comment, model, run and promotion, by column; instants are UTC.
    features
        The numbers as they were, by feature.
    """

    comment_id: str
    model: str
    label: str
    probabilities: dict[str, float]
    text: str | None
    parts: tuple[Part, ...]
    base: float
    is_reproduced: bool
    lineage: dict[str, Any]
    features: dict[str, float | None]


def explain_score(lake: Lake, comment_id: str, model: str) -> Explanation:
    """Explain the score of a comment that is in force.

    Raises
    ------
    BadData
        If the comment has no score by the model.
    """
    found = _read_lineage(lake, comment_id, model)
    version = resolve(lake, model, found["model_version"])
    row = _read_row(lake, found, version.descriptor["service_definition"])
    matrix = MatrixSpec.from_json(version.descriptor["matrix"])
    classes = version.descriptor["classes"]
    features = {name: _as_number(row.column(name)[0].as_py()) for name in matrix.numeric}
    probabilities = {name: found.pop(f"p_{name}") for name in classes}
    text, label = found.pop("text"), found.pop("label")
    if text is None:
        return Explanation(comment_id, model, label, probabilities, None, (), 0.0, False, found, features)
    pipeline, cells = load_pipeline(version.path), build_matrix(row, matrix)
    again = score_matrix(pipeline, cells, len(classes))[0]
    apart, place = compute_contributions(pipeline, cells), classes.index(label)
    names = _name_columns(row, text, matrix)
    parts = [
        Part(*names[int(column)], value=float(cells[0, column]), weight=float(weight))
        for column, weight in zip(apart.columns, apart.parts[:, place], strict=True)
    ]
    return Explanation(
        comment_id=comment_id,
        model=model,
        label=label,
        probabilities=probabilities,
        text=text,
        parts=tuple(sorted(parts, key=lambda part: -abs(part.weight))),
        base=float(apart.base[place]),
        is_reproduced=bool(np.abs(again - list(probabilities.values())).max() < _SAME),
        lineage=found,
        features=features,
    )


def _read_lineage(lake: Lake, comment_id: str, model: str) -> dict[str, Any]:
    sql = _LINEAGE.format(current=quote_name(f"scores.{model}_current"))
    with read_lake(lake) as connection:
        rows = connection.execute(sql, {"comment_id": comment_id, "model": model}).to_arrow_table().to_pylist()
    if not rows:
        raise BadData(
            f"{model} has no score for the comment {comment_id!r}; look for its id with `scorelake sql`, and for why "
            "it may have none in monitoring.unscored"
        )
    return dict(rows[0])


def _read_row(lake: Lake, found: Mapping[str, Any], definition: dict[str, Any]) -> "pa.Table":
    """The features of the one text, as they were when it was scored."""
    version, comment_id, text_id = (found[name] for name in ("data_version", "comment_id", "text_id"))
    spine = (
        f"select * from ({build_spine(data_version=version)}) "  # noqa: S608 - quoted
        f"where comment_id = {quote_text(comment_id)} and text_id = {quote_text(text_id)}"
    )
    return read_features(lake, ServiceDefinition.from_json(definition), spine, data_version=version)


def _name_columns(row: "pa.Table", text: str, matrix: MatrixSpec) -> dict[int, tuple[str, str]]:
    """What stands behind each column of the matrix: name and kind."""
    pieces = list_pieces(text)
    names: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for column in matrix.token_columns:
        for token, (name, kind) in zip(row.column(column)[0].as_py(), pieces[column], strict=True):
            names[token][name] = kind
    found = {token: (" / ".join(given), next(iter(given.values()))) for token, given in names.items()}
    numbers = ((matrix.token_dimension + place, (name, "feature")) for place, name in enumerate(matrix.numbers))
    return found | dict(numbers)


def _as_number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # features are numbers
