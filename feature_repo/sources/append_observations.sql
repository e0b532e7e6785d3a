-- Observations of videos or channels that the lake does not know yet; the first one of an instant stands. An
-- imputed instant tells nothing: the same statistics under another one are the same observation.
insert into {table} by name
with history as (
    select
        {columns},
        row,
        false as is_stored
    from arrivals
    union all by name
    select
        {columns},
        -1 as row,
        true as is_stored
    from {table}
    where {key} in (select {key} from arrivals)
),
fresh as (
    from history
    qualify is_stored
        or not is_observed_at_imputed
        or row_number() over (
            partition by is_observed_at_imputed, {key}, {values}
            order by is_stored desc, row
        ) = 1
),
keyed as (
    from fresh
    qualify row_number() over (partition by {key}, observed_at order by is_stored desc, row) = 1
)
select
    {columns},
    $source as source,
    $batch_id as batch_id,
    $ingest_seq as ingest_seq
from keyed
where not is_stored
