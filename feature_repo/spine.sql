-- One row per text of a comment: the instant is when it was first seen.
select
    comments.comment_id,
    comments.text_id,
    coalesce(videos.channel_id, comments.channel_id) as channel_id,
    comments.video_id,
    comments.published_at,
    comments.observed_at as event_timestamp,
    comments.ingest_seq,
    -- from which batch on the channel is known as well
    greatest(comments.ingest_seq, coalesce(videos.ingest_seq, 0)) as resolved_seq
from raw.comments as comments
left join (
    select
        video_id,
        arg_min(channel_id, (observed_at, ingest_seq)) as channel_id,
        arg_min(ingest_seq, (observed_at, ingest_seq)) as ingest_seq
    from raw.videos
    where ingest_seq <= {data_version:d}
    group by video_id
) as videos on videos.video_id = comments.video_id -- many to one
where comments.ingest_seq > {above:d} and comments.ingest_seq <= {data_version:d}
