-- Verdicts on a model's windows by the newest $checks drift checks. Runs of earlier releases say neither the end of
-- their window nor, by that name, the verdict.
select
    coalesce(cast(details ->> 'window_to' as timestamptz), started_at) as window_to,
    started_at as checked_at,
    cast(coalesce(details ->> 'is_violated', details ->> 'is_alarm') as boolean) as is_violated
from ops.runs
where
    kind = 'monitor'
    and outcome = 'done'
    and model = $model
order by started_at desc, run_id desc
limit $checks
