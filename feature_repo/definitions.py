"""What Feast knows: entities, feature views and services, generated from the contracts of their tables.

Feast imports this module by its path, so it holds definitions and nothing else; every other module of the
folder is named in `.feastignore`. Which columns there are, and what they mean, is said in `contracts`.
"""

from datetime import timedelta
from typing import Final

from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.types import from_value_type
from pandera.pandas import DataFrameSchema

from feature_repo.contracts import read_sql_types
from feature_repo.offline_source import DuckLakeSource, read_value_type
from feature_repo.tables.features import CHANNEL_FEATURES, COMMENT_FEATURES

OWNER: Final = "scorelake"


def build_view(table: DataFrameSchema, entities: list[Entity], *, ttl: timedelta) -> FeatureView:
    """The feature view of a table: its columns but for the three that place a row in time."""
    description = str(table.description)
    source = DuckLakeSource(table=str(table.name), description=description, owner=OWNER)
    placing = {source.timestamp_field, source.created_timestamp_column, source.version_column}
    return FeatureView(
        name=str(table.name).split(".")[1],
        entities=entities,
        ttl=ttl,
        schema=[
            Field(
                name=name,
                dtype=from_value_type(read_value_type(sql_type)),
                description=str(table.columns[name].description),
            )
            for name, sql_type in read_sql_types(table).items()
            if name not in placing
        ],
        source=source,
        online=True,
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

# A text does not change, so what was counted in it holds for ever.
comment_features = build_view(COMMENT_FEATURES, [comment, comment_text], ttl=timedelta(0))

# Rows exist only for hours in which a window's content changes, the hour a comment leaves the 30 days among them:
# a row holds until the next one, however long that takes. A ttl would turn a known "nothing since" into a null.
channel_features = build_view(CHANNEL_FEATURES, [channel], ttl=timedelta(0))

sentiment_v1 = FeatureService(
    name="sentiment_v1",
    features=[comment_features, channel_features],
    description="All that is known of a comment and its channel.",
    owner=OWNER,
)

# Only what the text itself says. In the public spam collection the date is missing for one class almost alone, so
# whatever depends on an instant (likes when first seen, windows of the channel) would give the class away.
_DEPENDS_ON_AN_INSTANT: Final = frozenset({"first_like_count"})
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
