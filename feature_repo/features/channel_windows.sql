-- Rows of features.channel_features for the hours of `changed_ranges`, from the texts in `window_texts` and from what
-- the lake says of the hour before each stretch.
--
-- Whatever counts, counts for a span of hours in a window of so many days: its weights are added where the span
-- begins and taken off where it ends. Shares are summed in millionths: whole numbers add up to the same in any order.
with stored as (
    select features.*
    from features.channel_features as features
    semi join changed_ranges on features.channel_id = changed_ranges.channel_id
    where features.event_timestamp > $published_from and features.event_timestamp <= $hours_to
),
-- one row per stretch: the newest version of the last row before it
befores as (
    select
        changed_ranges.from_at as range_from,
        known.*
    from changed_ranges
    asof inner join (
        select *
        from stored
        qualify row_number() over (partition by channel_id, event_timestamp order by ingest_seq desc) = 1
    ) as known
        on changed_ranges.channel_id = known.channel_id
        and changed_ranges.from_at > known.event_timestamp
),
-- one row per comment: its first text
firsts as (
    select *
    from window_texts
    qualify row_number() over (partition by comment_id order by observed_at, text_id) = 1
),
comments as (
    select
        firsts.*,
        text_features.is_reply::bigint as is_reply,
        round(text_features.capital_share * 1e6)::bigint as capital_millionths,
        (text_features.url_count > 0)::bigint as has_url
    from firsts
    -- one text to the versions of its features: the newest
    inner join comment_features_now as text_features
        on firsts.comment_id = text_features.comment_id
        and firsts.text_id = text_features.text_id
    where text_features.event_timestamp >= $texts_from and text_features.ingest_seq <= $upto
    qualify row_number() over (
        partition by firsts.comment_id order by text_features.ingest_seq desc
    ) = 1
),
-- one row per comment and window
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
    where comments.channel_id is not null and comments.enters_at < windows.leaves_at
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
    where author_id is not null
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
            time_bucket(interval 1 hour, counts.observed_at + interval '3599.999999' second) as known_at
        from raw.comment_counts as counts
        semi join comments on counts.comment_id = comments.comment_id
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
        counted.like_count,
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
        1 as comments,
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
    from stored
),
hourly as (
    select
        changes.channel_id,
        changed_ranges.from_at as range_from,
        changes.hour_at,
        changes.days,
        sum(changes.comments) as comments,
        sum(changes.authors) as authors,
        sum(changes.likes) as likes,
        sum(changes.replies) as replies,
        sum(changes.capitals) as capitals,
        sum(changes.urls) as urls
    from changes
    -- many changes to at most one stretch each
    asof inner join changed_ranges
        on changes.channel_id = changed_ranges.channel_id
        and changes.hour_at >= changed_ranges.from_at
    where changes.hour_at <= changed_ranges.to_at
    group by all
),
changed as (
    select
        channel_id,
        range_from,
        hour_at,
$pivot
    from hourly
    group by channel_id, range_from, hour_at
    window hours as (partition by channel_id, range_from order by hour_at)
),
-- of which batch something comes in, and until when it stays, also in a channel that a comment was in before its
-- video was known: what was said there has changed
batches as (
    select channel_id, enters_at as from_at, leaves_30d_at as to_at, resolved_seq as ingest_seq
    from window_texts
    union all
    select former_channel_id, enters_at, leaves_30d_at, resolved_seq
    from window_texts
    where former_channel_id is not null
    union all
    select channel_id, from_at, leaves_at, ingest_seq
    from liked
    where days = 30 and from_at <= leaves_at
    union all
    select channel_id, range_from, newest_leaves_at, ingest_seq
    from befores
    where newest_leaves_at >= range_from
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
),
-- many hours to at most one batch each
numbered as (
    select
        changed.*,
        newest.batch,
        coalesce(newest.batch.leaves_at >= changed.hour_at, false) as is_there
    from changed
    asof left join newest
        on changed.channel_id = newest.channel_id
        and changed.hour_at >= newest.from_at
),
-- Where the newest batch is gone again (a late comment has left, or nothing came for a month), all are looked at.
silent as (
    select distinct channel_id
    from numbered
    where not is_there
),
silent_texts as (
    select placed_texts.* exclude (former_channel_id)
    from placed_texts
    semi join silent on placed_texts.channel_id = silent.channel_id
    where placed_texts.published_at > $published_from and placed_texts.enters_at < placed_texts.leaves_30d_at
    union all by name
    select placed_texts.* exclude (channel_id) rename (former_channel_id as channel_id)
    from placed_texts
    semi join silent on placed_texts.former_channel_id = silent.channel_id
    where placed_texts.published_at > $published_from and placed_texts.enters_at < placed_texts.leaves_30d_at
),
silent_batches as (
    select channel_id, enters_at as from_at, leaves_30d_at as to_at, resolved_seq as ingest_seq
    from silent_texts
    union all
    select
        silent_texts.channel_id,
        greatest(
            silent_texts.enters_at, time_bucket(interval 1 hour, counts.observed_at + interval '3599.999999' second)
        ),
        silent_texts.leaves_30d_at,
        counts.ingest_seq
    from raw.comment_counts as counts
    inner join silent_texts on counts.comment_id = silent_texts.comment_id -- many to many
    where
        not counts.is_observed_at_imputed
        and counts.ingest_seq <= $upto
        and counts.observed_at > $published_from
),
searched as (
    select
        numbered.channel_id,
        numbered.hour_at,
        max({'ingest_seq': silent_batches.ingest_seq, 'leaves_at': silent_batches.to_at}) as batch
    from numbered
    inner join silent_batches -- many to many
        on numbered.channel_id = silent_batches.channel_id
        and numbered.hour_at between silent_batches.from_at and silent_batches.to_at
    where not numbered.is_there
    group by numbered.channel_id, numbered.hour_at
),
computed as (
    select
        numbered.channel_id,
        numbered.hour_at as event_timestamp,
        numbered.hour_at as created_timestamp,
$columns
        case when numbered.is_there then numbered.batch else searched.batch end as batch
    from numbered
    -- many hours to at most one row before each
    left join befores
        on numbered.channel_id = befores.channel_id
        and numbered.range_from = befores.range_from
    -- one to at most one
    left join searched
        on numbered.channel_id = searched.channel_id
        and numbered.hour_at = searched.hour_at
)
-- What the lake already says is not said again.
select
    * exclude (batch),
    batch.leaves_at as newest_leaves_at,
    coalesce(batch.ingest_seq, $upto) as ingest_seq
from computed
except
select *
from stored
