-- Comments seen, and rows refused, by days before $ends_at: 0 is the last one. Days without any have no row.
with seen as (
    select observed_at as counted_at, 1 as comments, 0 as refused
    from raw.comments
    where not is_observed_at_imputed
    union all
    select started_at, 0, rows_quarantined
    from ops.runs
    where kind = 'ingest' and outcome = 'done' and rows_quarantined > 0
)
select
    -- from the last microsecond of a day, so that its first one is its own
    date_diff('microsecond', counted_at, $ends_at - interval 1 microsecond) // 86400000000 as days_before,
    sum(comments),
    sum(refused)
from seen
where counted_at >= $since and counted_at < $ends_at
group by days_before
