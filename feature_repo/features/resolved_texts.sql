-- Texts of a relation like raw.comments up to $upto with their channel: one row per text.
select
    comments.comment_id,
    comments.text_id,
    coalesce(videos.channel_id, comments.channel_id) as channel_id,
    -- where the comment has been before more was known of its video
    case
        when comments.channel_id <> videos.channel_id
            then list_append(videos.former_channel_ids, comments.channel_id)
        else videos.former_channel_ids
    end as former_channel_ids,
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
