-- Channels whose labels may have changed by what came above $above, up to $upto: new labels, and new texts of
-- comments that have one. One row per channel.
with concerned as (
    select comment_id from raw.labels where ingest_seq > $above and ingest_seq <= $upto
    union
    select comments.comment_id
    from raw.comments as comments
    semi join raw.labels as labels on comments.comment_id = labels.comment_id
    where comments.ingest_seq > $above and comments.ingest_seq <= $upto
    union
    select comments.comment_id
    from raw.comments as comments
    semi join moved_videos on comments.video_id = moved_videos.video_id
    semi join raw.labels as labels on comments.comment_id = labels.comment_id
    where comments.ingest_seq <= $above
)
select distinct channel_id
from resolved_texts
semi join concerned on resolved_texts.comment_id = concerned.comment_id
where channel_id is not null
union
select distinct former_channel_id
from resolved_texts
semi join concerned on resolved_texts.comment_id = concerned.comment_id
where former_channel_id is not null
