"""The spine of a retrieval that is given none: every key and instant at which the tables themselves have a row.

What was known at these instants is looked up like for any other spine, in `point_in_time`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from feature_repo.errors import BadData
from feature_repo.history import History, Spine
from feature_repo.lake import quote_name
from feature_repo.point_in_time import build_range

_INSTANT: Final = "event_timestamp"


def build_event_spine(
    histories: Sequence[History], *, first: datetime, last: datetime, data_version: int | None = None
) -> Spine:
    """The spine with one row per key and event from `first` to `last`, both inclusive, ordered by event and keys.

    Its columns are the keys of all histories, and `event_timestamp` (UTC). A row that comes from a history without
    one of the keys has a null for it: histories with different keys stand below each other, they are not combined.

    Parameters
    ----------
    data_version
        Rows of later batches are not there; None: all rows are.

    Raises
    ------
    BadData
        If the window ends before it starts.
    """
    if last < first:
        raise BadData(f"a window must end after it starts, found {first} to {last}")
    rows = "\nunion all by name\n".join(_build_part(history, first, last, data_version) for history in histories)
    keys = list(dict.fromkeys(key for history in histories for key in history.keys.values()))
    order = ", ".join(map(quote_name, [_INSTANT, *keys]))
    return Spine(
        query=f"select distinct {', '.join(map(quote_name, [*keys, _INSTANT]))}\nfrom (\n{rows}\n)\norder by {order}",
        columns=(*keys, _INSTANT),
        instant=_INSTANT,
    )


def _build_part(history: History, first: datetime, last: datetime, data_version: int | None) -> str:
    placed = replace(history, features={}, created=None)
    keys = [f"{quote_name(inside)} as {quote_name(outside)}" for inside, outside in history.keys.items()]
    event = f"cast({quote_name(history.event)} as timestamptz) as {quote_name(_INSTANT)}"
    rows = build_range(placed, first=first, last=last, data_version=data_version)
    return f"select {', '.join([*keys, event])}\nfrom (\n{rows}\n)"
