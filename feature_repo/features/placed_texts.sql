-- Texts of raw.comments up to $upto with their channel, and the hours at which the comment enters the channel's
-- windows and leaves them: it enters at the first full hour at which it is both published and known, and leaves
-- each at the first full hour that is the window's length after its publication. So the row at an hour holds only
-- what was known by then, and is a function of the data alone, not of when it is computed.
select
    comments.comment_id,
    comments.text_id,
    coalesce(videos.channel_id, comments.channel_id) as channel_id,
    -- where the comment was before its video was known
    case when comments.channel_id <> videos.channel_id then comments.channel_id end as former_channel_id,
    comments.video_id,
    comments.parent_id,
    comments.author_id,
    comments.published_at,
    comments.observed_at,
    comments.ingest_seq,
    greatest(comments.ingest_seq, coalesce(videos.ingest_seq, 0)) as resolved_seq,
    time_bucket(
        interval 1 hour, greatest(comments.published_at, comments.observed_at) + interval '3599.999999' second
    ) as enters_at,
    time_bucket(interval 1 hour, comments.published_at + interval '1 day 3599.999999 second') as leaves_1d_at,
    time_bucket(interval 1 hour, comments.published_at + interval '7 day 3599.999999 second') as leaves_7d_at,
    time_bucket(interval 1 hour, comments.published_at + interval '30 day 3599.999999 second') as leaves_30d_at
from raw.comments as comments
left join ($resolved_videos) as videos on comments.video_id = videos.video_id -- many to one
where comments.ingest_seq <= $upto
