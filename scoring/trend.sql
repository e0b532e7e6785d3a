-- How near each of a model's windows came to its thresholds: the largest score over its threshold, by kind of check.
-- A window that was checked again counts by its last check.
with last_runs as (
    select
        window_to,
        arg_max(run_id, (checked_at, run_id)) as run_id
    from monitoring.drift
    where model = $model
    group by window_to
)
select
    checks.window_to,
    checks.kind,
    max(checks.score / checks.threshold) as nearness,
    arg_max(checks.column_name, checks.score / checks.threshold) as column_name
from monitoring.drift as checks
-- many checks to one run each
inner join last_runs
    on checks.run_id = last_runs.run_id
group by checks.window_to, checks.kind
order by checks.window_to, checks.kind
