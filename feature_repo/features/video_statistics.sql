-- Rows of features.video_statistics for the observations above $above, up to $upto. An imputed time says nothing
-- about when a count was reached: it would leak the future.
select
    video_id,
    observed_at as event_timestamp,
    observed_at as created_timestamp,
    view_count as video_view_count,
    like_count as video_like_count,
    comment_count as video_comment_count,
    ingest_seq
from raw.videos
where not is_observed_at_imputed and ingest_seq > $above and ingest_seq <= $upto
