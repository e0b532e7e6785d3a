-- The runs of the ledger by kind, model and outcome: how many, their rows, and what the last of them did.
select
    kind,
    coalesce(model, '') as model,
    outcome,
    count(*) as runs,
    coalesce(sum(rows_out), 0)::bigint as rows_out,
    coalesce(sum(rows_quarantined), 0)::bigint as rows_quarantined,
    arg_max(coalesce(rows_out, 0), ended_at) as last_rows,
    arg_max(epoch(ended_at) - epoch(started_at), ended_at) as last_seconds,
    epoch(max(ended_at)) as last_ended
from ops.runs
group by all
order by all
