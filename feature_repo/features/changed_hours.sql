-- From when to when a channel's windows change: by batches (`batch_hours`); and, in the hours after $since up to $until,
-- by what enters or leaves as time goes by (of `moving_texts`). One row per cause and channel.
select channel_id, from_at, to_at
from batch_hours
union all
select distinct
    channel_id,
    $since + interval 1 hour,
    $until
from (
    select unnest(list_prepend(channel_id, former_channel_ids)) as channel_id
    from moving_texts
    where
        $since < $until
        and (
            greatest(published_at, observed_at) > $since
            or (published_at > $since - interval 1 day and published_at <= $until - interval 1 day)
            or (published_at > $since - interval 7 day and published_at <= $until - interval 7 day)
            or (published_at > $since - interval 30 day and published_at <= $until - interval 30 day)
        )
)
where channel_id is not null
