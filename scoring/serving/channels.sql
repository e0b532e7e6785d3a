-- The $limit channels with the most scored comments, and their titles as last seen.
with counted as (
    -- each model counts the same comments, as far as it has come
    select
        model,
        channel_id,
        sum(label_count) as comment_count
    from scores.channel_daily
    group by model, channel_id
),
greatest_counts as (
    select
        channel_id,
        max(comment_count)::bigint as comment_count
    from counted
    group by channel_id
    order by comment_count desc, channel_id
    limit $limit
),
titles as (
    select
        channel_id,
        arg_max(title, observed_at) as title
    from raw.channels
    group by channel_id
)
select
    greatest_counts.channel_id,
    titles.title,
    greatest_counts.comment_count
from greatest_counts
-- one to at most one
left join titles on greatest_counts.channel_id = titles.channel_id
order by greatest_counts.comment_count desc, greatest_counts.channel_id
