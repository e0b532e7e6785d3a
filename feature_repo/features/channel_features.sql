-- Rows of features.channel_features that the inputs above $above, up to $upto, add or change.
--
-- A comment enters the windows at the first full hour at which it is both published and known, and leaves
-- each at the first full hour that is the window's length after its publication. So the row at an hour
-- holds only what was known by then, and is a function of the data alone, not of when it is computed.
-- Shares are summed in millionths: whole numbers add up to the same in any order.
with spine as ({spine}),
-- one row per comment: its first text
comments as (
    select
        spine.channel_id,
        spine.comment_id,
        spine.published_at,
        spine.event_timestamp as observed_at,
        spine.resolved_seq,
        text_features.is_reply::bigint as is_reply,
        round(text_features.capital_share * 1e6)::bigint as capital_millionths,
        (text_features.url_count > 0)::bigint as has_url
    from spine
    -- many texts to one row of features each: the newest
    inner join comment_features_now as text_features
        on spine.comment_id = text_features.comment_id
        and spine.text_id = text_features.text_id
    where spine.channel_id is not null and spine.published_at is not null
    qualify row_number() over (
        partition by spine.comment_id
        order by spine.event_timestamp, spine.text_id, text_features.ingest_seq desc
    ) = 1
),
edges as (
    select
        *,
        time_bucket(interval 1 hour, greatest(published_at, observed_at) + interval '3599.999999' second) as enters_at,
        time_bucket(interval 1 hour, published_at + interval 1 day + interval '3599.999999' second) as leaves_1d_at,
        time_bucket(interval 1 hour, published_at + interval 7 day + interval '3599.999999' second) as leaves_7d_at,
        time_bucket(interval 1 hour, published_at + interval 30 day + interval '3599.999999' second) as leaves_30d_at
    from comments
),
statistics as (
    select
        channel_id,
        observed_at,
        time_bucket(interval 1 hour, observed_at + interval '3599.999999' second) as enters_at,
        subscriber_count,
        view_count,
        video_count,
        ingest_seq
    from raw.channels
    where not is_observed_at_imputed and ingest_seq <= $upto
),
touched as (
    select
        channel_id,
        min(enters_at) as from_at
    from (
        select channel_id, enters_at from edges where resolved_seq > $above
        union all
        select channel_id, enters_at from statistics where ingest_seq > $above
    )
    group by channel_id
),
-- comments that are in some window at or after the first touched hour
windowed as (
    select
        edges.*,
        touched.from_at
    from edges
    inner join touched using (channel_id)
    where edges.enters_at < edges.leaves_30d_at and edges.leaves_30d_at >= touched.from_at
),
changes as (
    select
        channel_id,
        enters_at as event_timestamp,
        (enters_at < leaves_1d_at)::bigint as in_1d,
        (enters_at < leaves_7d_at)::bigint as in_7d,
        1 as in_30d,
        in_7d * is_reply as replies,
        in_7d * capital_millionths as capitals,
        in_7d * has_url as urls
    from windowed
    union all
    select channel_id, leaves_1d_at, -1, 0, 0, 0, 0, 0
    from windowed
    where enters_at < leaves_1d_at
    union all
    select channel_id, leaves_7d_at, 0, -1, 0, -is_reply, -capital_millionths, -has_url
    from windowed
    where enters_at < leaves_7d_at
    union all
    select channel_id, leaves_30d_at, 0, 0, -1, 0, 0, 0
    from windowed
    union all
    select statistics.channel_id, statistics.enters_at, 0, 0, 0, 0, 0, 0
    from statistics
    inner join touched using (channel_id)
),
grid as (
    select
        channel_id,
        event_timestamp,
        sum(sum(in_1d)) over hours as comment_count_1d,
        sum(sum(in_7d)) over hours as comment_count_7d,
        sum(sum(in_30d)) over hours as comment_count_30d,
        sum(sum(replies)) over hours as replies,
        sum(sum(capitals)) over hours as capitals,
        sum(sum(urls)) over hours as urls
    from changes
    group by channel_id, event_timestamp
    window hours as (partition by channel_id order by event_timestamp)
),
-- the newest batch among the comments that are in a window at the hour or leave it then
batches as (
    select
        grid.channel_id,
        grid.event_timestamp,
        max(hourly.resolved_seq) as ingest_seq
    from grid
    inner join (
        select channel_id, enters_at, leaves_30d_at, max(resolved_seq) as resolved_seq
        from windowed
        group by channel_id, enters_at, leaves_30d_at
    ) as hourly
        on grid.channel_id = hourly.channel_id
        and grid.event_timestamp between hourly.enters_at and hourly.leaves_30d_at
    group by grid.channel_id, grid.event_timestamp
),
computed as (
    select
        grid.channel_id,
        grid.event_timestamp,
        grid.event_timestamp as created_timestamp,
        grid.comment_count_1d::bigint as comment_count_1d,
        grid.comment_count_7d::bigint as comment_count_7d,
        grid.comment_count_30d::bigint as comment_count_30d,
        grid.replies / nullif(grid.comment_count_7d, 0) as reply_share_7d,
        grid.capitals / 1e6 / nullif(grid.comment_count_7d, 0) as capital_share_7d,
        grid.urls / nullif(grid.comment_count_7d, 0) as url_share_7d,
        statistics.subscriber_count,
        statistics.view_count as channel_view_count,
        statistics.video_count,
        greatest(coalesce(batches.ingest_seq, 0), coalesce(statistics.ingest_seq, 0)) as ingest_seq
    from grid
    inner join touched
        on grid.channel_id = touched.channel_id
        and grid.event_timestamp >= touched.from_at
    -- many hours to at most one batch number each
    left join batches
        on grid.channel_id = batches.channel_id
        and grid.event_timestamp = batches.event_timestamp
    -- many hours to at most one observation each: the last known
    asof left join statistics
        on grid.channel_id = statistics.channel_id
        and grid.event_timestamp >= statistics.observed_at
)
-- What the lake already says is not said again.
select * from computed
except
select *
from features.channel_features
where channel_id in (select channel_id from touched)
