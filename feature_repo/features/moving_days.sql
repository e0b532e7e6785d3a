-- On which days the comments were observed that come or go between $hours_from and $hours_to: one row per day.
select
    min(observed_at),
    max(observed_at)
from window_texts
where
    enters_at between $hours_from and $hours_to
    or leaves_1d_at between $hours_from and $hours_to
    or leaves_7d_at between $hours_from and $hours_to
    or leaves_30d_at between $hours_from and $hours_to
group by date_trunc('day', observed_at)
order by 1
