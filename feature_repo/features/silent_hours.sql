-- The newest batch in a window at the hours of `window_hours` at which the newest of all is gone again: a late comment
-- has left, or nothing came for a month. All that came in the month before is looked at; such hours are few.
with silent as (
    select distinct channel_id
    from window_hours
    where not is_there
),
monthly as (
    select *
    from placed_texts
    where published_at > $published_from and observed_at <= published_at + interval 30 day
),
everywhere as (
    select * exclude (former_channel_ids)
    from monthly
    union all by name
    select * exclude (channel_id, former_channel_ids), unnest(former_channel_ids) as channel_id
    from monthly
    where len(former_channel_ids) > 0
),
silent_texts as (
    select everywhere.*
    from everywhere
    semi join silent on everywhere.channel_id = silent.channel_id
),
silent_batches as (
    select channel_id, enters_at as from_at, leaves_30d_at as to_at, resolved_seq as ingest_seq
    from silent_texts
    union all
    select
        silent_texts.channel_id,
        greatest(
            silent_texts.enters_at, ceil_hour(counts.observed_at)
        ),
        silent_texts.leaves_30d_at,
        counts.ingest_seq
    from raw.comment_counts as counts
    inner join silent_texts on counts.comment_id = silent_texts.comment_id -- many to many
    where
        not counts.is_observed_at_imputed
        and counts.ingest_seq <= $upto
        and counts.observed_at > $published_from
)
select
    window_hours.channel_id,
    window_hours.hour_at,
    max({'ingest_seq': silent_batches.ingest_seq, 'leaves_at': silent_batches.to_at}) as batch
from window_hours
inner join silent_batches -- many to many
    on window_hours.channel_id = silent_batches.channel_id
    and window_hours.hour_at between silent_batches.from_at and silent_batches.to_at
where not window_hours.is_there
group by window_hours.channel_id, window_hours.hour_at
