-- A sample of at most $rows current scores whose comment was observed in [$window_from, $window_to).
-- The order is a hash of the id: every run draws the same rows, whatever the number of threads.
with scored as (
    select
        scores.comment_id,
        scores.text_id,
        scores.label,
        scores.confidence,
        texts.observed_at
    from {current} as scores
    -- many scores to one text each
    inner join raw.comments as texts
        on scores.comment_id = texts.comment_id
        and scores.text_id = texts.text_id
    where texts.observed_at >= $window_from and texts.observed_at < $window_to
    order by md5_number_lower(scores.comment_id), scores.comment_id
    limit $rows
)
select
    {features},
    scored.label,
    scored.confidence,
    cast(scored.observed_at as timestamp) as observed_at
from scored
-- one score to the versions of its features: the newest
inner join features.comment_features as features
    on scored.comment_id = features.comment_id
    and scored.text_id = features.text_id
qualify row_number() over (
    partition by scored.comment_id
    order by features.created_timestamp desc, features.ingest_seq desc
) = 1
