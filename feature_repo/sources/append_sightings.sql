-- Texts that this source shows again, later than it, or whoever was first, did before; an imputed instant tells nothing.
insert into raw.sightings by name
with seen as (
    select
        comment_id,
        text_id,
        max(observed_at) as observed_at
    from arrivals
    where not is_observed_at_imputed
    group by comment_id, text_id
),
known as (
    select
        comment_id,
        text_id,
        max(observed_at) as observed_at
    from (
        select comment_id, text_id, observed_at
        from raw.comments
        union all
        select comment_id, text_id, observed_at
        from raw.sightings
        where source = $source
    )
    semi join seen using (comment_id, text_id)
    group by comment_id, text_id
)
select
    seen.comment_id,
    seen.text_id,
    seen.observed_at,
    $source as source,
    $batch_id as batch_id
from seen
join known -- one to one: new texts have been appended before
    on known.comment_id = seen.comment_id
    and known.text_id = seen.text_id
where seen.observed_at > known.observed_at
