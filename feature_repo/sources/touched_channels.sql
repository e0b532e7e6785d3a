-- Channels whose features rest on a batch: of its comments (told, or through their videos, which may belong
-- to several by error), of its videos and its own.
select distinct channel_id
from (
    select coalesce(comments.channel_id, videos.channel_id) as channel_id
    from raw.comments as comments
    left join raw.videos as videos using (video_id) -- many to many: a video has many observations
    where comments.batch_id = $batch_id
    union all
    select channel_id
    from raw.videos
    where batch_id = $batch_id
    union all
    select channel_id
    from raw.channels
    where batch_id = $batch_id
)
where channel_id is not null
order by channel_id
