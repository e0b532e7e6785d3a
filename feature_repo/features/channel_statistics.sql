-- Rows of features.channel_statistics for the observations above $above, up to $upto. An imputed time says nothing
-- about when a count was reached: it would leak the future.
select
    channel_id,
    observed_at as event_timestamp,
    observed_at as created_timestamp,
    subscriber_count as channel_subscriber_count,
    view_count as channel_view_count,
    video_count as channel_video_count,
    ingest_seq
from raw.channels
where not is_observed_at_imputed and ingest_seq > $above and ingest_seq <= $upto
