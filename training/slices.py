"""Which of the judged rows belong to which slice, those that follow from more than one column included.

What slices there are is said in `spec`; how a model does on them, in `evaluate` and `gate`.
"""

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from training.dataset import TrainingSet
    from training.spec import ModelSpec, Slice

CHANNEL_SEEN: Final = "is_channel_seen"
OTHER_LATIN: Final = "is_other_latin"
_TELLING_WORDS: Final = 8  # of so many English words, one is nearly always among the most frequent 20


def mark_slices(training_set: "TrainingSet", spec: "ModelSpec") -> "dict[str, NDArray[np.bool_]]":
    """Rows of the training set in each slice of a spec whose column is there, boolean (rows,)."""
    table = derive_columns(training_set, spec)
    return {one.name: mark_slice(table, one) for one in spec.slices if one.column in table.column_names}


def mark_slice(table: pa.Table, one: "Slice") -> "NDArray[np.bool_]":
    """Which rows of a table belong to a slice; a null belongs to none."""
    values = pc.cast(table.column(one.column), "float64").to_numpy()
    is_in: NDArray[np.bool_] = (values >= one.at_least) & (values < one.below)
    return is_in


def derive_columns(training_set: "TrainingSet", spec: "ModelSpec") -> pa.Table:
    """The training table with the columns that only slices need.

    is_channel_seen: whether rows of the channel are learned from; null without a channel. Out of fold, whether
    another group is of the channel. is_other_latin: Latin script, eight words or more, and none of the most frequent
    English ones: mostly another language, of a sample of 25 public comments in 21.
    """
    table = training_set.table
    if "channel_id" in table.column_names:
        table = table.append_column(CHANNEL_SEEN, _find_seen(training_set, spec))
    if {"non_latin_share", "english_word_share", "word_count"} <= set(table.column_names):
        is_latin = pc.less(table.column("non_latin_share"), 0.5)
        is_telling = pc.greater_equal(table.column("word_count"), _TELLING_WORDS)
        is_other = pc.equal(table.column("english_word_share"), 0)
        table = table.append_column(OTHER_LATIN, pc.and_(pc.and_(is_latin, is_telling), is_other))
    return table


def _find_seen(training_set: "TrainingSet", spec: "ModelSpec") -> pa.ChunkedArray:
    channels = training_set.table.column("channel_id")
    seen = channels.filter(pa.array(~training_set.is_held_out))
    if spec.is_cross_group:
        pairs = pa.table({"channel": channels, "group": training_set.groups})
        counts = pairs.group_by("channel").aggregate([("group", "count_distinct")])
        seen = counts.filter(pc.greater(counts.column("group_count_distinct"), 1)).column("channel")
    is_seen = pc.is_in(channels, value_set=pc.drop_null(seen).combine_chunks())
    return pc.if_else(pc.is_null(channels), None, is_seen)
