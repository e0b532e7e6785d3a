-- Texts of a relation like raw.comments up to $upto with their channel: one row per text.
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
    greatest(comments.ingest_seq, coalesce(videos.ingest_seq, 0)) as resolved_seq
from ($comments) as comments
left join resolved_videos as videos on comments.video_id = videos.video_id -- many to one
where comments.ingest_seq <= $upto
