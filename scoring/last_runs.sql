-- Rows a second and bytes a row of a model's last ten runs that scored something.
select
    sum(rows_out) / nullif(sum(cast(details->'stages'->'score'->>'seconds' as double)), 0),
    sum(bytes_written) / nullif(sum(rows_out), 0)
from (
    select *
    from ops.runs
    where kind = 'score' and outcome = 'done' and model = $model and rows_out > 0 and bytes_written > 0
    order by started_at desc
    limit 10
)
