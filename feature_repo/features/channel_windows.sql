-- Rows of features.channel_features for the hours in `window_hours`: what was before, and what has changed since.
with computed as (
    select
        window_hours.channel_id,
        window_hours.hour_at as event_timestamp,
        window_hours.hour_at as created_timestamp,
$columns
        case when window_hours.is_there then window_hours.batch else silent_hours.batch end as batch
    from window_hours
    -- many hours to at most one row before each
    left join hours_before
        on window_hours.channel_id = hours_before.channel_id
        and window_hours.range_from = hours_before.range_from
    -- one to at most one
    left join silent_hours
        on window_hours.channel_id = silent_hours.channel_id
        and window_hours.hour_at = silent_hours.hour_at
)
-- What the lake already says is not said again.
select
    * exclude (batch),
    batch.leaves_at as newest_leaves_at,
    coalesce(batch.ingest_seq, $upto) as ingest_seq
from computed
except
select stored.*
from features.channel_features as stored
semi join window_hours
    on stored.channel_id = window_hours.channel_id
    and stored.event_timestamp = window_hours.hour_at
where stored.event_timestamp between $hours_from and $hours_to
-- so that files can be left out by their instants, and parts of them
order by event_timestamp
