"""What Feast knows: entities, feature views and services, generated from the contracts of their tables.

Feast imports this module by its path, so it holds definitions and nothing else; every other module of the
folder is named in `.feastignore`. Which columns there are, and what they mean, is said in `tables.features`.
"""

import re
from datetime import timedelta
from typing import Final

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.types import Float64, from_value_type
from pandera.pandas import DataFrameSchema

from feature_repo.contracts import read_sql_types
from feature_repo.offline_source import DuckLakeSource, read_value_type
from feature_repo.tables.features import (
    CHANNEL_FEATURES,
    CHANNEL_LABELS,
    CHANNEL_STATISTICS,
    COMMENT_FEATURES,
    VIDEO_STATISTICS,
)

OWNER: Final = "scorelake"

# What materialization notes beside the features, for itself.
_BOOKKEEPING: Final = frozenset({"newest_leaves_at"})

_UNITS: Final = {
    "_chars": "characters",
    "_count": "count",
    "_share": "share, 0 to 1",
    "_ids": "hashed tokens",
    "_id": "identifier",
    "is_": "yes or no",
}


def read_unit(name: str) -> str:
    """The unit of a feature, by the grammar of its name: the suffix before a window or a version, or the prefix.

    >>> read_unit("capital_share_7d"), read_unit("token_ids_v1"), read_unit("is_reply")
    ('share, 0 to 1', 'hashed tokens', 'yes or no')
    """
    stem = re.sub(r"_(\d+d|v\d+)$", "", name)
    return next(unit for part, unit in _UNITS.items() if stem.endswith(part) or stem.startswith(part))


def build_view(
    table: DataFrameSchema,
    entities: list[Entity],
    *,
    ttl: timedelta,
    age: str | None = None,
    is_online: bool = True,
    is_single_event: bool = False,
) -> FeatureView:
    """The feature view of a table: its columns but for those that place a row in time, and perhaps its age.

    Parameters
    ----------
    age
        What one more feature is called: hours from the row's event to the instant it is looked up for.
    is_online
        Whether the online store holds its values.
    is_single_event
        Whether all rows of a key describe the same instant.
    """
    description = str(table.description)
    source = DuckLakeSource(
        table=str(table.name),
        age_column=age,
        is_single_event=is_single_event,
        description=description,
        owner=OWNER,
    )
    placing = {source.timestamp_field, source.created_timestamp_column, source.version_column, *_BOOKKEEPING}
    said = "Hours since the values were observed."
    ages = [Field(name=age, dtype=Float64, description=said, tags={"unit": "hours"})] if age else []
    return FeatureView(
        name=str(table.name).split(".")[1],
        entities=entities,
        ttl=ttl,
        schema=[
            Field(
                name=name,
                dtype=from_value_type(read_value_type(sql_type)),
                description=str(table.columns[name].description),
                tags={"unit": read_unit(name)},
            )
            for name, sql_type in read_sql_types(table).items()
            if name not in placing
        ]
        + ages,
        source=source,
        online=is_online,
        description=description,
        tags={"key": ", ".join(entity.join_key for entity in entities)},
        owner=OWNER,
    )


def _build_entity(name: str, join_key: str, description: str) -> Entity:
    return Entity(name=name, join_keys=[join_key], value_type=ValueType.STRING, description=description, owner=OWNER)


# A Feast entity has one join key: what the design calls a comment is these first two together.
comment = _build_entity("comment", "comment_id", "A comment, whatever its text.")
comment_text = _build_entity("comment_text", "text_id", "One text that a comment has had.")
channel = _build_entity("channel", "channel_id", "A channel.")
video = _build_entity("video", "video_id", "A video.")

# A text does not change, so what was counted in it holds for ever. For a single comment it is counted anew, by the
# same statement, so that no text need be known in advance.
comment_features = build_view(
    COMMENT_FEATURES, [comment, comment_text], ttl=timedelta(0), is_online=False, is_single_event=True
)

# Rows exist only for hours in which a window's content changes, the hour a comment leaves the 30 days among them:
# a row holds until the next one, however long that takes. A ttl would turn a known "nothing since" into a null.
channel_features = build_view(CHANNEL_FEATURES, [channel], ttl=timedelta(0))
channel_labels = build_view(CHANNEL_LABELS, [channel], ttl=timedelta(0))

# How old the last known statistics are is a feature of its own, so the model weighs them by itself.
channel_statistics = build_view(CHANNEL_STATISTICS, [channel], ttl=timedelta(0), age="channel_statistics_age_hours")
video_statistics = build_view(VIDEO_STATISTICS, [video], ttl=timedelta(0), age="video_statistics_age_hours")

sentiment_v1 = FeatureService(
    name="sentiment_v1",
    features=[
        comment_features,
        channel_features,
        channel_statistics,
        video_statistics,
        channel_labels[["sentiment_label_count", "negative_label_share", "positive_label_share"]],
    ],
    description="All that is known of a comment, its video and its channel.",
    owner=OWNER,
)

# Only what the text itself says. In the public spam collection the date is missing for one class almost alone, so
# whatever depends on an instant (likes when first seen, its place in the thread, windows of the channel) would give
# the class away.
_DEPENDS_ON_AN_INSTANT: Final = frozenset({"first_like_count", "earlier_reply_count_30d"})
spam_v1 = FeatureService(
    name="spam_v1",
    features=[
        comment_features[
            [feature.name for feature in comment_features.features if feature.name not in _DEPENDS_ON_AN_INSTANT]
        ]
    ],
    description="What the text of a comment says by itself.",
    owner=OWNER,
)
