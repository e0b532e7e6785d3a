-- The channel of each video, as first observed up to $upto, and the others it was ever said to be of: one row per video.
-- `ingest_seq` is the batch that this has rested on since.
with told as (
    -- one row per video and channel
    select
        video_id,
        channel_id,
        min((observed_at, ingest_seq)) as first_told,
        min(ingest_seq) as told_seq
    from raw.videos
    where ingest_seq <= $upto
    group by video_id, channel_id
),
firsts as (
    select
        video_id,
        arg_min(channel_id, first_told) as channel_id,
        list(channel_id) as channel_ids,
        greatest(min(first_told)[2], max(told_seq)) as ingest_seq
    from told
    group by video_id
)
select
    * exclude (channel_ids),
    list_filter(channel_ids, lambda told: told <> channel_id) as former_channel_ids
from firsts
