-- Start, rows and seconds of the workers' work of a model's last $runs scoring runs that scored something.
select
    started_at,
    rows_out,
    cast(details -> 'stages' -> 'score' ->> 'seconds' as double) as seconds
from ops.runs
where
    kind = 'score'
    and outcome = 'done'
    and model = $model
    and role = 'production'
    and rows_out > 0
    and started_at <= $now
    and seconds is not null
order by started_at desc, run_id desc
limit $runs
