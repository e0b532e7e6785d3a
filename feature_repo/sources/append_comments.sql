-- Texts that the lake does not know yet; of several arrivals of one text, the one seen first.
insert into raw.comments by name
with firsts as (
    select * exclude (text_is_known)
    from (
        select
            arrivals.*,
            stored.comment_id is not null as text_is_known
        from arrivals
        left join raw.comments as stored -- many to one: (comment_id, text_id) is the key
            on stored.comment_id = arrivals.comment_id
            and stored.text_id = arrivals.text_id
    )
    where not text_is_known
    qualify row_number() over (partition by comment_id, text_id order by observed_at, row) = 1
)
select
    firsts.comment_id,
    firsts.text_id,
    firsts.channel_id,
    firsts.video_id,
    firsts.parent_id,
    firsts.author_id,
    candidates.text,
    firsts.published_at,
    firsts.observed_at,
    firsts.is_observed_at_imputed,
    $source as source,
    $batch_id as batch_id,
    $ingest_seq as ingest_seq
from firsts
join read_parquet($candidates) as candidates -- one to one
    on candidates.row = firsts.row
