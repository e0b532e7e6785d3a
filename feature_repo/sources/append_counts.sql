-- Counts that differ from the ones before. An imputed instant tells nothing: imputed counts are compared with
-- all imputed counts of the comment, real ones with the real ones before them.
insert into raw.comment_counts by name
with arriving as (
    select
        comment_id,
        observed_at,
        is_observed_at_imputed,
        like_count,
        reply_count,
        row,
        false as is_stored
    from arrivals
    where like_count is not null or reply_count is not null
),
history as (
    from arriving
    union all by name
    select
        comment_id,
        observed_at,
        is_observed_at_imputed,
        like_count,
        reply_count,
        -1 as row,
        true as is_stored
    from raw.comment_counts
    where comment_id in (select comment_id from arriving)
),
fresh as (
    from history
    qualify is_stored
        or not is_observed_at_imputed
        or row_number() over (
            partition by comment_id, is_observed_at_imputed, like_count, reply_count
            order by is_stored desc, row
        ) = 1
),
keyed as (
    from fresh
    qualify row_number() over (partition by comment_id, observed_at order by is_stored desc, row) = 1
),
changed as (
    from keyed
    qualify is_stored
        or is_observed_at_imputed
        or row(like_count, reply_count) is distinct from lag(row(like_count, reply_count)) over (
            partition by comment_id, is_observed_at_imputed
            order by observed_at
        )
)
select
    comment_id,
    observed_at,
    is_observed_at_imputed,
    like_count,
    reply_count,
    $source as source,
    $batch_id as batch_id,
    $ingest_seq as ingest_seq
from changed
where not is_stored
