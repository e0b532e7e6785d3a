-- Rows of a spine by the hour in which they were first observed, in order.
select
    date_trunc('hour', event_timestamp) as hour,
    count(*) as rows
from ({spine})
group by hour
order by hour
