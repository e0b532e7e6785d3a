"""Erasure from model versions: the rows that they keep of their training sets, and which versions these were.

The fitted models stay as they are: they hold weights, and no word and no id. Whether one is to be trained anew is for
people to say.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from training.registry import list_versions, replace_kept_rows
from training.spec import list_specs
from training.version import read_kept_rows

if TYPE_CHECKING:
    from feature_repo.lake import Lake


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """A version that learned from rows that are erased, or was judged on them, and how many these are."""

    model: str
    version: str
    rows: int


def forget_rows(lake: "Lake", comment_ids: Collection[str], *, is_dry: bool = False) -> tuple[TrainedVersion, ...]:
    """Take comments out of the rows that versions keep; returns the versions that had any. Safe to repeat.

    Parameters
    ----------
    is_dry
        Changes nothing.
    """
    ids = pa.array(sorted(comment_ids), pa.string())
    found = []
    for version in (one for model in list_specs() for one in list_versions(lake, model)):
        kept = read_kept_rows(version)
        if kept is None:
            continue
        rest = kept.filter(pc.invert(pc.is_in(kept.column("comment_id"), ids)))
        if len(rest) < len(kept):
            found.append(TrainedVersion(version.model, version.version, len(kept) - len(rest)))
            if not is_dry:
                replace_kept_rows(lake, version, rest)
    return tuple(found)
