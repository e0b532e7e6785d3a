-- From when to when a channel's windows change: by texts that came above $above, up to $upto, or were given another
-- channel by a video that did; by counts that did; and, in the hours after $since up to $until, by what enters or
-- leaves as time goes by. One row per cause and channel, within $until.
with came as (
    select * from placed_texts where ingest_seq > $above
    union all
    select placed_texts.*
    from placed_texts
    semi join moved_videos on placed_texts.video_id = moved_videos.video_id
    where placed_texts.ingest_seq <= $above
),
recounted as (
    select
        texts.channel_id,
        ceil_hour(greatest(texts.published_at, texts.observed_at, counts.observed_at)) as from_at,
        ceil_hour(texts.published_at + interval 30 day) as to_at
    from raw.comment_counts as counts
    inner join resolved_texts as texts on counts.comment_id = texts.comment_id -- many to many
    where
        counts.ingest_seq > $above
        and counts.ingest_seq <= $upto
        and not counts.is_observed_at_imputed
        and texts.published_at > $counted_from
),
passed as (
    select channel_id
    from resolved_texts
    where
        -- the whole month first: by this alone files are left out
        published_at > $since - interval '30 day 1 hour'
        and published_at <= $until
        and (
            published_at <= $until - interval 30 day
            or (published_at > $since - interval '7 day 1 hour' and published_at <= $until - interval 7 day)
            or (published_at > $since - interval '1 day 1 hour' and published_at <= $until - interval 1 day)
            or published_at > $since - interval 1 hour
        )
    union all
    select channel_id
    from resolved_texts
    where observed_at > $since - interval 1 hour and observed_at <= $until
    union all
    select texts.channel_id
    from raw.comment_counts as counts
    inner join resolved_texts as texts on counts.comment_id = texts.comment_id -- many to many
    where
        counts.observed_at > $since - interval 1 hour
        and counts.observed_at <= $until
        and counts.ingest_seq <= $above
        and not counts.is_observed_at_imputed
        and texts.published_at > $since - interval '30 day 1 hour'
),
changed as (
    select channel_id, enters_at as from_at, leaves_30d_at as to_at from came
    union all
    select former_channel_id, enters_at, leaves_30d_at from came
    union all
    select * from recounted
    union all
    select distinct channel_id, $since + interval 1 hour, $until from passed
)
select
    channel_id,
    from_at,
    least(to_at, $until) as to_at
from changed
where channel_id is not null and from_at <= least(to_at, $until)
