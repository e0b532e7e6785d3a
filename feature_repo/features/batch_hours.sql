-- From when to when a channel's windows change by texts that came above $above, up to $upto, or were given another
-- channel by a video that did; also in channels that they were in before; and by the counts in `recounts`. One row per cause and channel, within $until.
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
        list_prepend(texts.channel_id, texts.former_channel_ids) as channel_ids,
        ceil_hour(greatest(texts.published_at, texts.observed_at, recounts.observed_at)) as from_at,
        ceil_hour(texts.published_at + interval 720 hour) as to_at,
        recounts.is_new
    from recounts
    inner join ($recounted_texts) as texts on recounts.comment_id = texts.comment_id -- many to many
),
changed as (
    select list_prepend(channel_id, former_channel_ids) as channel_ids, enters_at as from_at, leaves_30d_at as to_at
    from came
    union all
    select
        channel_ids,
        case when is_new then from_at else $since + interval 1 hour end,
        case when is_new then to_at else $until end
    from recounted
),
everywhere as (
    select
        unnest(channel_ids) as channel_id,
        from_at,
        least(to_at, $until) as to_at
    from changed
    where from_at <= least(to_at, $until)
)
select *
from everywhere
where channel_id is not null
