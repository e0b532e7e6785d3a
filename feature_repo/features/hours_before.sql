-- What the lake says of the hour before each stretch of `changed_ranges`: at most one row per stretch, the newest
-- version of the last row before it. A channel of which nothing was said for a month has nothing in its windows.
with known as (
    select
        features.channel_id,
        features.event_timestamp,
        max(features.ingest_seq) as ingest_seq
    from features.channel_features as features
    semi join changed_ranges on features.channel_id = changed_ranges.channel_id
    where features.event_timestamp > $published_from and features.event_timestamp <= $hours_to
    group by features.channel_id, features.event_timestamp
),
lasts as (
    select
        changed_ranges.channel_id,
        changed_ranges.from_at as range_from,
        known.event_timestamp,
        known.ingest_seq
    from changed_ranges
    asof inner join known
        on changed_ranges.channel_id = known.channel_id
        and changed_ranges.from_at > known.event_timestamp
)
select
    lasts.range_from,
    features.*
from lasts
inner join features.channel_features as features -- many to one
    on lasts.channel_id = features.channel_id
    and lasts.event_timestamp = features.event_timestamp
    and lasts.ingest_seq = features.ingest_seq
where features.event_timestamp > $published_from and features.event_timestamp <= $hours_to
