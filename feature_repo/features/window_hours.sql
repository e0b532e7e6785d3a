-- How the windows change at the hours of `changed_ranges`, from the texts in `window_texts`: one row per channel and
-- hour, with the sums of what has come and gone since the stretch began, and the newest batch that is in a window.
--
-- Whatever counts, counts for a span of hours in a window of so many days: its weights are added where the span
-- begins and taken off where it ends. Shares are summed in millionths: whole numbers add up to the same in any order.
-- A comment counts once: by its first text, in its channel. Where another text of it was the first that was known, or
-- where it was before its video was, nothing counts any more, and yet the hours are written: hours are only ever added,
-- so that a rebuild has those that increments have left.
with ordered as (
    select
        *,
        (observed_at, text_id) as place,
        min(place) over (partition by comment_id) = place as is_first,
        min(place) over (partition by comment_id order by ingest_seq) = place as was_first
    from window_texts
),
-- one row per text and channel
placed as (
    select
        * exclude (former_channel_ids),
        is_first::bigint as weight
    from ordered
    union all by name
    select
        * exclude (channel_id, former_channel_ids),
        unnest(former_channel_ids) as channel_id,
        0 as weight
    from ordered
    where is_concerned
),
text_features as (
    -- one row per concerned comment: the newest version
    select
        features.comment_id,
        features.is_reply::bigint as is_reply,
        round(features.capital_share * 1e6)::bigint as capital_millionths,
        (features.url_count > 0)::bigint as has_url
    from ($moving_features) as features
    inner join ordered -- many to one
        on features.comment_id = ordered.comment_id
        and features.text_id = ordered.text_id
    where ordered.is_first and ordered.is_concerned and features.ingest_seq <= $upto
    qualify row_number() over (partition by features.comment_id order by features.ingest_seq desc) = 1
),
comments as (
    select
        placed.*,
        -- of those not concerned nothing changes in these hours
        placed.weight * coalesce(text_features.is_reply, 0) as is_reply,
        placed.weight * coalesce(text_features.capital_millionths, 0) as capital_millionths,
        placed.weight * coalesce(text_features.has_url, 0) as has_url
    from placed
    left join text_features on placed.comment_id = text_features.comment_id -- many to at most one
),
-- one row per text, channel and window
windowed as (
    select
        comments.*,
        windows.days,
        windows.leaves_at
    from comments,
        lateral (
            values
                (1, comments.leaves_1d_at),
                (7, comments.leaves_7d_at),
                (30, comments.leaves_30d_at)
        ) as windows (days, leaves_at)
    where comments.was_first and comments.channel_id is not null and comments.enters_at < windows.leaves_at
),
-- what is left of an author's comments in a window, so that no hour is covered twice
authored as (
    select
        channel_id,
        days,
        greatest(
            enters_at,
            coalesce(
                max(leaves_at) over (
                    partition by channel_id, days, author_id
                    order by enters_at, comment_id
                    rows between unbounded preceding and 1 preceding
                ),
                enters_at
            )
        ) as from_at,
        leaves_at as to_at
    from windowed
    where author_id is not null and weight = 1
),
-- one row per observed count: the hours in which it is the last known
counted as (
    select
        *,
        coalesce(
            lead(known_at) over (partition by comment_id order by observed_at), timestamptz 'infinity'
        ) as replaced_at
    from (
        select
            counts.comment_id,
            counts.observed_at,
            coalesce(counts.like_count, 0) as like_count,
            counts.ingest_seq,
            ceil_hour(counts.observed_at) as known_at
        from raw.comment_counts as counts
        semi join window_texts
            on counts.comment_id = window_texts.comment_id
            and window_texts.is_concerned
        where not counts.is_observed_at_imputed and counts.ingest_seq <= $upto and counts.observed_at >= $counts_from
    )
),
liked as (
    select
        windowed.channel_id,
        windowed.days,
        greatest(windowed.enters_at, counted.known_at) as from_at,
        least(windowed.leaves_at, counted.replaced_at) as to_at,
        windowed.leaves_at,
        windowed.weight * counted.like_count as like_count,
        counted.ingest_seq
    from windowed
    inner join counted on windowed.comment_id = counted.comment_id -- many to many
),
spans as (
    select
        channel_id,
        days,
        enters_at as from_at,
        leaves_at as to_at,
        weight as comments,
        0 as authors,
        0 as likes,
        is_reply as replies,
        capital_millionths as capitals,
        has_url as urls
    from windowed
    union all
    select channel_id, days, from_at, to_at, 0, 1, 0, 0, 0, 0
    from authored
    where from_at < to_at
    union all
    select channel_id, days, from_at, to_at, 0, 0, like_count, 0, 0, 0
    from liked
    where from_at < to_at
),
changes as (
    select channel_id, days, from_at as hour_at, comments, authors, likes, replies, capitals, urls
    from spans
    union all
    select channel_id, days, to_at, -comments, -authors, -likes, -replies, -capitals, -urls
    from spans
    union all
    -- hours that the lake has a row for: what it says may no longer hold
    select channel_id, 30, event_timestamp, 0, 0, 0, 0, 0, 0
    from features.channel_features
    where event_timestamp between $hours_from and $hours_to
),
hourly as (
    select
        channel_id,
        hour_at,
        days,
        sum(comments) as comments,
        sum(authors) as authors,
        sum(likes) as likes,
        sum(replies) as replies,
        sum(capitals) as capitals,
        sum(urls) as urls
    from changes
    where hour_at between $hours_from and $hours_to
    group by channel_id, hour_at, days
),
ranged as (
    select
        hourly.*,
        changed_ranges.from_at as range_from
    from hourly
    -- many hours to at most one stretch each
    asof inner join changed_ranges
        on hourly.channel_id = changed_ranges.channel_id
        and hourly.hour_at >= changed_ranges.from_at
    where hourly.hour_at <= changed_ranges.to_at
),
changed as (
    select
        channel_id,
        range_from,
        hour_at,
$pivot
    from ranged
    group by channel_id, range_from, hour_at
    window hours as (partition by channel_id, range_from order by hour_at)
),
-- of which batch something comes in, and until when it stays, also where nothing counts any more: what was said there
-- has changed
batches as (
    select channel_id, enters_at as from_at, leaves_30d_at as to_at, resolved_seq as ingest_seq
    from placed
    where is_concerned
    union all
    select channel_id, from_at, leaves_at, ingest_seq
    from liked
    where days = 30 and from_at <= leaves_at
    union all
    -- also where it has left: whatever is older than it does not tell which is the newest then
    select channel_id, range_from, newest_leaves_at, ingest_seq
    from hours_before
    where newest_leaves_at is not null
),
-- the newest batch that has come in so far, and how long it stays
newest as (
    select
        channel_id,
        from_at,
        max(max({'ingest_seq': ingest_seq, 'leaves_at': to_at})) over (
            partition by channel_id
            order by from_at
        ) as batch
    from batches
    group by channel_id, from_at
)
select
    changed.*,
    newest.batch,
    coalesce(newest.batch.leaves_at >= changed.hour_at, false) as is_there
from changed
-- many hours to at most one batch each
asof left join newest
    on changed.channel_id = newest.channel_id
    and changed.hour_at >= newest.from_at
