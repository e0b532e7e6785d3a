"""What a point-in-time lookup is about: the rows that ask, and the tables of feature rows through time that answer.

Values alone; how an answer is found is in `point_in_time`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Spine:
    """The rows to look up: a trusted query, its columns in order, and which of them is the instant."""

    query: str
    columns: tuple[str, ...]
    instant: str


@dataclass(frozen=True, slots=True)
class Window:
    """What is promised of a spine, so that less need be read and sorted; SQL expressions for two instants.

    Its instants lie in [since, until); each key of a history with a single event is asked for at that event; and
    nobody minds in which order the rows are found. `upto` stands for the data version, None for the one that is told.
    """

    since: str
    until: str
    upto: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Feature rows of one table through time, and what of them a result shows.

    Parameters
    ----------
    name
        What the history is called in the query and in messages.
    table
        `schema.table` in the lake.
    keys, features
        Columns of the table, each with its name outside: in the spine, and in the result. Without keys, every
        row of the spine is given the one value there is at its instant.
    event
        Column with the instant that a row describes; rows without one are never a value.
    created
        Column with the instant from which it was knowable, null for the event; None if the table has none.
    version
        Column with the number of the batch that brought it.
    ttl
        Age, from its event, up to which a row is a value (inclusive); zero for ever.
    age
        Name among `features` of one that is no column of the table but computed: hours (double) from the row's
        event to the instant looked up, null where there is no value. None: all features are columns.
    snapshot
        Id of the lake's snapshot as of which the table is read; None: the newest.
    is_single_event
        Whether all rows of a key describe the same instant: what is found then needs no sorting through time.
    """

    name: str
    table: str
    keys: Mapping[str, str]
    features: Mapping[str, str]
    event: str
    created: str | None
    version: str
    ttl: timedelta = timedelta(0)
    age: str | None = None
    snapshot: int | None = None
    is_single_event: bool = False

    @property
    def stored(self) -> tuple[str, ...]:
        """The features that are columns of the table."""
        return tuple(name for name in self.features if name != self.age)
