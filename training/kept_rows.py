"""The rows that a version keeps of its training set, so that what became of them can be named later.

Of each row an id, a digest and what the version said of it: enough to tell that it is gone or changed, and no word of
it. Where the table is stored is the registry's affair.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.lake import read_lake
from training.dataset import select_content
from training.digest import digest_each_row
from training.model import build_matrix, score_matrix

if TYPE_CHECKING:
    from feature_repo.lake import Lake
    from training.model import Floats
    from training.trial import Trial

_SQL: Final = Path(__file__).with_name("gone_rows.sql")


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What became of the rows that a version learned from or was judged on.

    Parameters
    ----------
    kept, found
        Rows then and now.
    changes
        Comments by what became of them, sorted; empty if every row is as it was.
    erased
        Rows whose ids are not known any more either, because they were erased.
    """

    kept: int
    found: int
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    erased: int = 0


def build_kept_rows(trial: "Trial") -> pa.Table:
    """One row per row of a trial's training set, ordered by comment_id.

    Columns: comment_id, text_id; row_digest of what it said; said, the probabilities by the model that is registered;
    judged, those the figures are made of, null where the row was not judged. They are doubles, in the order of the
    classes.
    """
    known = trial.training_set
    judged: list[list[float] | None] = [None] * len(known.labels)
    for position, row in zip(trial.rows.positions, trial.probabilities.tolist(), strict=True):
        judged[position] = row
    said = score_matrix(trial.fitted.pipeline, build_matrix(known.table, known.matrix))
    floats = pa.list_(pa.float64())
    return pa.table(
        {
            "comment_id": known.table.column("comment_id"),
            "text_id": known.table.column("text_id"),
            "row_digest": mark_rows(known.table).column("row_digest"),
            "said": pa.array(said.tolist(), floats),
            "judged": pa.array(judged, floats),
        }
    )


def read_probabilities(column: pa.ChunkedArray, class_count: int) -> "Floats":
    """The probabilities of a column of kept rows that are not null, shape (rows, classes)."""
    flat = pc.list_flatten(column.drop_null())
    return np.asarray(flat.to_numpy(), dtype=np.float64).reshape(-1, class_count)


def mark_rows(table: pa.Table) -> pa.Table:
    """Add to a feature table the digest of what each row says, ordered by comment_id."""
    ordered = table.sort_by("comment_id")
    return ordered.append_column("row_digest", pa.array(digest_each_row(select_content(ordered)), pa.string()))


def find_unchanged(kept: pa.Table, marked: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows that are there and say what they said: as they were kept, and as they are now, in one order."""
    then, now = kept.column("row_digest"), marked.column("row_digest")
    return kept.filter(pc.is_in(then, now.combine_chunks())), marked.filter(pc.is_in(now, then.combine_chunks()))


def compare_rows(
    lake: "Lake", kept: pa.Table, marked: pa.Table, *, expired_ids: Collection[str], labels: tuple[str, int]
) -> RowChanges:
    """Name the rows that were kept and are gone or changed, and those that were not there, each with why.

    Parameters
    ----------
    marked
        The rows there are now, from `mark_rows`.
    expired_ids
        Comments whose text has expired.
    labels
        Task and data version of the labels.
    """
    before, now = _read_digests(kept), _read_digests(marked)
    changes = {
        "text expired": before.keys() & set(expired_ids),
        **_explain_gone(lake, kept, before.keys() - now.keys() - set(expired_ids), labels),
        "says something else": {one for one in before.keys() & now.keys() if before[one] != now[one]},
        "was not there": now.keys() - before.keys(),
    }
    named = {why: tuple(sorted(ids)) for why, ids in changes.items() if ids}
    return RowChanges(len(before), len(now), named)


def _read_digests(table: pa.Table) -> dict[str, str]:
    columns = (table.column(name).to_pylist() for name in ("comment_id", "row_digest"))
    return dict(zip(*columns, strict=True))


def _explain_gone(lake: "Lake", kept: pa.Table, gone: set[str], labels: tuple[str, int]) -> dict[str, set[str]]:
    if not gone:
        return {}
    lost = kept.filter(pc.is_in(kept.column("comment_id"), pa.array(sorted(gone), pa.string())))
    with read_lake(lake) as connection:
        connection.register("gone_rows", lost.select(["comment_id", "text_id"]))
        bound = dict(zip(("task", "data_version"), labels, strict=True))
        found = connection.execute(_SQL.read_text(encoding="utf-8"), bound).fetchall()
        connection.unregister("gone_rows")
    return {
        "comment erased, or its batch taken back": {name for name, has_text, _ in found if not has_text},
        "label erased, or its batch taken back": {name for name, has_text, label in found if has_text and not label},
        "left out": {name for name, has_text, label in found if has_text and label},
    }
