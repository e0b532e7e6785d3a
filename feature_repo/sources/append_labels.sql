-- Labels that the lake does not know yet. If the time of labelling is imputed, a label that the source has
-- given before is known, whenever that was; otherwise the first label of an instant stands.
insert into raw.labels by name
with arriving as (
    select
        comment_id,
        task,
        label,
        labelled_at,
        labeller,
        $source as source,
        is_labelled_at_imputed,
        row,
        false as is_stored
    from arrivals
    where label is not null
),
history as (
    from arriving
    union all by name
    select
        * exclude (batch_id, ingest_seq),
        false as is_labelled_at_imputed,
        -1 as row,
        true as is_stored
    from raw.labels
    where comment_id in (select comment_id from arriving)
),
fresh as (
    from history
    qualify is_stored
        or not is_labelled_at_imputed
        or row_number() over (partition by comment_id, task, label, source order by is_stored desc, row) = 1
),
keyed as (
    from fresh
    qualify row_number() over (partition by comment_id, task, labelled_at order by is_stored desc, row) = 1
)
select
    comment_id,
    task,
    label,
    labelled_at,
    labeller,
    source,
    $batch_id as batch_id,
    $ingest_seq as ingest_seq
from keyed
where not is_stored
