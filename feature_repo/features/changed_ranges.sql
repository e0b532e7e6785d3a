-- The hours of `changed_hours` without overlaps: one row per channel and stretch of time.
with longest as (
    -- one row per channel and beginning: of two rows alike, windows would each choose their own first
    select
        channel_id,
        from_at,
        max(to_at) as to_at
    from changed_hours
    group by channel_id, from_at
)
select
    channel_id,
    min(from_at) as from_at,
    max(to_at) as to_at
from (
    select
        *,
        count(*) filter (where from_at > coalesce(reached_at, timestamptz '-infinity')) over so_far as stretch
    from (
        select
            *,
            max(to_at) over (
                partition by channel_id
                order by from_at
                rows between unbounded preceding and 1 preceding
            ) as reached_at
        from longest
    )
    window so_far as (partition by channel_id order by from_at rows unbounded preceding)
)
group by channel_id, stretch
