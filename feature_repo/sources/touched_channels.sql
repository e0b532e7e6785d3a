-- Channels whose features rest on a batch: of its comments, and of those its counts and labels are on, as told and
-- through their videos (which may belong to several by error); and of its videos.
with touched as (
    select comment_id from raw.comments where batch_id = $batch_id
    union
    select comment_id from raw.comment_counts where batch_id = $batch_id
    union
    select comment_id from raw.labels where batch_id = $batch_id
),
concerned as (
    select
        comments.channel_id,
        comments.video_id
    from raw.comments as comments
    semi join touched on comments.comment_id = touched.comment_id
    union
    select
        comments.channel_id,
        comments.video_id
    from raw.comments as comments
    semi join (select video_id from raw.videos where batch_id = $batch_id) as videos
        on comments.video_id = videos.video_id
)
select channel_id
from (
    select channel_id from concerned
    union
    select videos.channel_id
    from concerned
    inner join raw.videos as videos on concerned.video_id = videos.video_id -- many to many
)
where channel_id is not null
order by channel_id
