-- The channel of each video, as first observed up to $upto: one row per video.
select
    video_id,
    arg_min(channel_id, (observed_at, ingest_seq)) as channel_id,
    arg_min(ingest_seq, (observed_at, ingest_seq)) as ingest_seq
from raw.videos
where ingest_seq <= $upto
group by video_id
